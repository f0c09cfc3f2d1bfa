/*
 * The upstream of the figures: 192.0.2.1 or 2001:db8::1 for an hour, for every name but those below
 * "internal", which do not exist (SOA, 300 s); other types have no records.
 *
 * It costs next to nothing, so that what is measured is the forwarder in front of it.  A datagram
 * too short for a DNS header is answered with the number of questions so far, as decimal text.
 * Usage: upstream PORT
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

static const unsigned char a[] = {
    0xc0, 12, 0, 1, 0, 1, 0, 0, 14, 16, 0, 4, 192, 0, 2, 1, /* the name asked for, A IN 3600 */
};
static const unsigned char aaaa[] = {
    0xc0, 12, 0, 28, 0, 1, 0, 0, 14, 16, 0, 16,
    0x20, 1, 13, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,
};
static const unsigned char soa[] = { /* behind the owner; both names the root, all times 300 s */
    0, 6, 0, 1, 0, 0, 1, 44, 0, 22, 0, 0, 0, 0, 0, 1,
    0, 0, 1, 44, 0, 0, 1, 44, 0, 0, 1, 44, 0, 0, 1, 44,
};
static const unsigned char opt[] = {0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0}; /* RFC 6891, 1232 octets */

static size_t put(unsigned char *message, size_t end, const unsigned char *what, size_t size)
{
    memcpy(message + end, what, size);
    return end + size;
}

/* Make the reply in place; return its length, or 0 if there is no whole question. */
static size_t reply(unsigned char *message, size_t size)
{
    size_t end = 12, last = 12;
    int edns = message[11] != 0, type, missing;

    while (end < size && message[end]) {
        last = end;
        end += message[end] + 1;
    }
    end += 5;
    if (end > size)
        return 0;
    type = message[end - 4] << 8 | message[end - 3];
    missing = message[last] == 8 && !strncasecmp((char *)message + last + 1, "internal", 8);
    message[2] = 0x80 | (message[2] & 1); /* QR, RD as it came */
    message[3] = missing ? 0x83 : 0x80;   /* RA, NXDOMAIN or NOERROR */
    memcpy(message + 4, "\0\1\0\0\0\0\0", 7);
    message[7] = !missing && (type == 1 || type == 28);
    message[9] = missing;
    message[11] = edns;
    if (missing) {
        message[end++] = 0xc0 | last >> 8;
        message[end++] = last;
        end = put(message, end, soa, sizeof soa);
    } else if (type == 1) {
        end = put(message, end, a, sizeof a);
    } else if (type == 28) {
        end = put(message, end, aaaa, sizeof aaaa);
    }
    return edns ? put(message, end, opt, sizeof opt) : end;
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
