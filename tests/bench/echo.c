/*
 * The floor of the figures: a server that reads a datagram, sets the QR bit and sends it back.
 *
 * One recvfrom and one sendto for each query, no batching, no parsing.  What a DNS server spends
 * above this is its own doing; what lies below is the kernel's.  Usage: echo PORT
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

int main(int argc, char **argv)
{
    unsigned char message[4096];
    struct sockaddr_in address = {.sin_family = AF_INET};
    int room = 4 << 20;
    int udp = socket(AF_INET, SOCK_DGRAM, 0);

    if (argc != 2 || udp < 0) {
        fprintf(stderr, "usage: echo PORT\n");
        return 2;
    }
    address.sin_port = htons(atoi(argv[1]));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(udp, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    if (bind(udp, (struct sockaddr *)&address, sizeof address) < 0) {
        perror("echo: bind");
        return 1;
    }
    for (;;) {
        struct sockaddr_in client;
        socklen_t length = sizeof client;
        ssize_t size = recvfrom(udp, message, sizeof message, 0,
                                (struct sockaddr *)&client, &length);
        if (size < 12)
            continue;
        message[2] |= 0x80;
        sendto(udp, message, size, 0, (struct sockaddr *)&client, length);
    }
}
