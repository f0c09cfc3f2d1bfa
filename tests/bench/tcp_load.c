/*
 * A load over TCP: connections that are kept, with questions in flight on each.
 *
 * Instead of dnsperf (2.10), which fails with connections that end after so many questions, as
 * dnsmasq wants them, and stalls for 40 ms now and then.  Here a connection ends when its last
 * answer has come, and another one takes its place.  Prints what dnsperf does.
 * Usage: tcp_load PORT FILE SECONDS CONNECTIONS IN_FLIGHT PER_CONNECTION (0: never ends)
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MOST_CONNECTIONS = 64, MOST_QUESTIONS = 100000, PATIENCE_S = 2 };

struct connection {
    long sent, received; /* on this connection */
    size_t length;       /* of what was read and is not a whole answer yet */
    unsigned char in[1 << 17];
};

static struct connection connections[MOST_CONNECTIONS];
static struct pollfd polled[MOST_CONNECTIONS];
static struct sockaddr_in server = {.sin_family = AF_INET};
static unsigned char (*questions)[300]; /* framed: two octets of length, the message */
static long count, next, completed, noerror, lost;

static double now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

/* Read lines like "www.example.com. A"; of the types only A and SRV are known. */
static void read_questions(const char *path)
{
    char line[256];
    FILE *file = fopen(path, "r");

    questions = malloc(sizeof *questions * MOST_QUESTIONS);
    if (!file || !questions)
        fail(path);
    while (count < MOST_QUESTIONS && fgets(line, sizeof line, file)) {
        unsigned char *message = questions[count++] + 2, *end = message + 12;
        int srv = strstr(line, " SRV") != NULL;

        memcpy(message, "\0\0\1\0\0\1\0\0\0\0\0\0", 12);
        for (char *label = strtok(strtok(line, " \n"), "."); label; label = strtok(NULL, ".")) {
            *end = strlen(label);
            memcpy(end + 1, label, *end);
            end += *end + 1;
        }
        memcpy(end, "\0\0\1\0\1", 5);
        if (srv)
            end[2] = 33;
        end += 5;
        message[-2] = (end - message) >> 8;
        message[-1] = (end - message) & 255;
    }
    fclose(file);
}

static void open_connection(int number)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0), yes = 1;

    if (fd < 0 || connect(fd, (struct sockaddr *)&server, sizeof server) < 0)
        fail("tcp_load: connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    polled[number] = (struct pollfd){.fd = fd, .events = POLLIN};
    connections[number].sent = connections[number].received = 0;
    connections[number].length = 0;
}

static void reopen(int number)
{
    lost += connections[number].sent - connections[number].received;
    close(polled[number].fd);
    open_connection(number);
}

static void ask(int number, long in_flight, long per_connection)
{
    struct connection *one = &connections[number];

    while (one->sent - one->received < in_flight
           && (!per_connection || one->sent < per_connection)) {
        unsigned char *question = questions[next++ % count];
        size_t size = 2 + (question[0] << 8 | question[1]);

        question[2] = next >> 8;
        question[3] = next;
        if (send(polled[number].fd, question, size, MSG_NOSIGNAL) != (ssize_t)size)
            return; /* closed: the answers that are missing will tell */
        one->sent++;
    }
}

/* Take what has come; return 0 if the other side closed the connection. */
static int receive(int number)
{
    struct connection *one = &connections[number];
    ssize_t size = read(polled[number].fd, one->in + one->length, sizeof one->in - one->length);
    size_t at = 0, frame;

    if (size <= 0)
        return 0;
    one->length += size;
    while (one->length - at >= 2) {
        frame = 2 + (one->in[at] << 8 | one->in[at + 1]);
        if (one->length - at < frame)
            break;
        completed++;
        one->received++;
        noerror += frame >= 14 && !(one->in[at + 5] & 15);
        at += frame;
    }
    memmove(one->in, one->in + at, one->length -= at);
    return 1;
}

int main(int argc, char **argv)
{
    double begun, seconds, ended;
    int many;
    long in_flight, per_connection, waiting = 1;

    if (argc != 7 || (many = atoi(argv[4])) > MOST_CONNECTIONS) {
        fprintf(stderr, "usage: tcp_load PORT FILE SECONDS CONNECTIONS IN_FLIGHT PER_CONNECTION\n");
        return 2;
    }
    server.sin_port = htons(atoi(argv[1]));
    server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    read_questions(argv[2]);
    seconds = atof(argv[3]);
    in_flight = atol(argv[5]);
    per_connection = atol(argv[6]);
    for (int number = 0; number < many; number++)
        open_connection(number);
    begun = ended = now();
    while (waiting && now() < begun + seconds + PATIENCE_S) {
        int asking = now() < begun + seconds;

        waiting = asking;
        for (int number = 0; number < many; number++) {
            if (asking)
                ask(number, in_flight, per_connection);
            waiting += connections[number].sent - connections[number].received;
        }
        if (!waiting || poll(polled, many, 100) <= 0)
            continue;
        ended = now();
        for (int number = 0; number < many; number++) {
            struct connection *one = &connections[number];

            if (polled[number].revents && !receive(number))
                reopen(number);
            else if (per_connection && one->received == per_connection)
                reopen(number);
        }
    }
    for (int number = 0; number < many; number++)
        lost += connections[number].sent - connections[number].received;
    printf("Queries completed: %ld\nQueries lost: %ld\nNOERROR %ld\nQueries per second: %f\n",
           completed, lost, noerror, completed / (ended - begun));
    return 0;
}
