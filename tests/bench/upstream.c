/*
 * The upstream of the figures: one A record, 192.0.2.1 with a TTL of 300 s, to every question.
 *
 * It costs next to nothing, so that what is measured is the forwarder in front of it.  A datagram
 * too short for a DNS header is answered with the number of questions so far, as decimal text.
 * Usage: upstream PORT
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static const unsigned char record[] = {
    0xc0, 12, 0, 1, 0, 1, 0, 0, 1, 44, 0, 4, 192, 0, 2, 1, /* the name asked for, A IN 300 */
};
static const unsigned char opt[] = {0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0}; /* RFC 6891, 1232 octets */

/* Make the reply in place; return its length, or 0 if there is no whole question. */
static size_t reply(unsigned char *message, size_t size)
{
    size_t end = 12;
    int edns = message[11] != 0;

    while (end < size && message[end])
        end += message[end] + 1;
    end += 5;
    if (end > size)
        return 0;
    message[2] = 0x80 | (message[2] & 1); /* QR, RD as it came */
    message[3] = 0x80;                    /* RA, NOERROR */
    memcpy(message + 4, "\0\1\0\1\0\0\0", 7);
    message[11] = edns;
    memcpy(message + end, record, sizeof record);
    end += sizeof record;
    if (edns) {
        memcpy(message + end, opt, sizeof opt);
        end += sizeof opt;
    }
    return end;
}

int main(int argc, char **argv)
{
    unsigned char message[4096 + 64];
    struct sockaddr_in address = {.sin_family = AF_INET};
    int room = 4 << 20;
    int udp = socket(AF_INET, SOCK_DGRAM, 0);
    unsigned long questions = 0;

    if (argc != 2 || udp < 0) {
        fprintf(stderr, "usage: upstream PORT\n");
        return 2;
    }
    address.sin_port = htons(atoi(argv[1]));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(udp, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    if (bind(udp, (struct sockaddr *)&address, sizeof address) < 0) {
        perror("upstream: bind");
        return 1;
    }
    for (;;) {
        struct sockaddr_in client;
        socklen_t length = sizeof client;
        ssize_t size = recvfrom(udp, message, 4096, 0, (struct sockaddr *)&client, &length);

        if (size < 0)
            continue;
        if (size < 12) {
            size = sprintf((char *)message, "%lu", questions);
        } else {
            questions++;
            size = reply(message, size);
        }
        if (size)
            sendto(udp, message, size, 0, (struct sockaddr *)&client, length);
    }
}
