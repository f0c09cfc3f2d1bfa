/*
 * Datagrams by the batch: one system call receives what is there, one sends what is known of it.
 *
 * Between these two the interpreter's lock is taken, once for the whole batch.  A query that finds
 * its answer in the table gets its own ID and the octets of a turn, sent from where they lie.  What
 * is not there is looked for on the table's shelf, and a reply made of it.  All else is handed to
 * Python.  See batch.py, and plainbatch.py and plainshelf.py for the same in Python.
 *
 * What Python makes of these, many small datagrams by many sockets, leaves by `send_each`.
 *
 * Threads: a batch belongs to the thread that calls `answer` or `take`, but `stopped`.  What others may
 * change, answers and their table, is touched with the lock held; turns are kept alive until they
 * are sent, as the reactor's thread may have put others in their place by then.
 */
#define PY_SSIZE_T_CLEAN
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <Python.h>
#include <structmember.h>

#include "_ring.h"

#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <time.h>

enum {
    MOST = 64,                    /* datagrams in a batch: AT_ONCE of plainbatch.py */
    ROOM = 4096,                  /* octets of a query; the kernel cuts the rest off */
    STRIDE = ROOM + 128,          /* else all heads fall on the same lines of the CPU cache */
    NOTES = 128,                  /* octets of ancillary data */
    SAMPLE = 256,                 /* every so many batches the sending is timed */
    HEADER = 12,
    OPT_SIZE = 11,                /* octets of an OPT record without options */
    LONGEST = 255 + 4,            /* octets of a question */
    MIN_UDP = 512,                /* octets of a reply, as in kubedns.wire */
    MAX_UDP = 1232,
    MAX_TCP = 65535,
};

/* The same class as in plainbatch.py. */
typedef struct {
    PyObject_HEAD
    double until;                 /* monotonic; from then on `age` must be asked */
    long long uses;
    PyObject *turns;
} Turning;

/* The same classes as in plainshelf.py. */
typedef struct {
    PyObject_HEAD
    PyObject *octets, *ttls, *cycle, *error;
    double expires;               /* monotonic */
    long long ttl, used;
    int epoch;
    char refreshing;
} Kept;

typedef struct {
    PyObject_HEAD
    PyObject *entries;
    int epoch;
    unsigned max_ttl;
    long long given[2][16];       /* replies over UDP and TCP, by response code */
} Shelf;

typedef struct {
    PyObject_HEAD
    int fd;
    int noting;                   /* whether the socket notes where each datagram went */
    int stopped;
    int busy;
    int used;                     /* of `in`, how many the last call has written to */
    int count;                    /* replies to be sent */
    int failures;                 /* of which so many could not be: */
    int failed[MOST];             /* errno of each */
    unsigned batches;
    double send_s;                /* what sending one reply took, when it was measured last */
    struct mmsghdr in[MOST], out[MOST];
    struct iovec in_parts[MOST], out_parts[MOST][2];
    union { struct sockaddr any; struct sockaddr_in v4; struct sockaddr_in6 v6; } clients[MOST];
    _Alignas(struct cmsghdr) unsigned char notes[MOST][NOTES];
    PyObject *held[MOST];         /* the turns in `out`; NULL for what is in `made` */
    unsigned char *octets;
    unsigned char (*made)[MAX_UDP];
    PyObject *ring;               /* where replies are noted, or NULL */
} Batch;

/* Turning */

static int turning_traverse(Turning *self, visitproc visit, void *arg)
{
    Py_VISIT(self->turns);
    return 0;
}

static int turning_clear(Turning *self)
{
    Py_CLEAR(self->turns);
    return 0;
}

static void turning_dealloc(Turning *self)
{
    PyObject_GC_UnTrack(self);
    turning_clear(self);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static PyMemberDef turning_members[] = {
    {"until", T_DOUBLE, offsetof(Turning, until), 0, NULL},
    {"uses", T_LONGLONG, offsetof(Turning, uses), 0, NULL},
    {"turns", T_OBJECT_EX, offsetof(Turning, turns), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyTypeObject TurningType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "kubedns._batch.Turning",
    .tp_basicsize = sizeof(Turning),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .tp_members = turning_members,
    .tp_traverse = (traverseproc)turning_traverse,
    .tp_clear = (inquiry)turning_clear,
    .tp_dealloc = (destructor)turning_dealloc,
    .tp_new = PyType_GenericNew,
};

/* Kept */

static int kept_traverse(Kept *self, visitproc visit, void *arg)
{
    Py_VISIT(self->octets);
    Py_VISIT(self->ttls);
    Py_VISIT(self->cycle);
    Py_VISIT(self->error);
    return 0;
}

static int kept_clear(Kept *self)
{
    Py_CLEAR(self->octets);
    Py_CLEAR(self->ttls);
    Py_CLEAR(self->cycle);
    Py_CLEAR(self->error);
    return 0;
}

static void kept_dealloc(Kept *self)
{
    PyObject_GC_UnTrack(self);
    kept_clear(self);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

/* When it stops being given out: a little before it expires, not the same for all, or just then. */
static double dies(const Kept *self)
{
    double early = self->ttl * 0.05;

    if (early > 5.0)
        early = 5.0;
    return early >= 1 ? self->expires - early * ((size_t)self % 61) / 61 : self->expires;
}

/* When it is time to ask for it anew, if it is popular: in its last tenth. */
static double due(const Kept *self)
{
    long long before = self->ttl / 10;

    return self->expires - (before < 1 ? 1 : before > 30 ? 30 : before);
}

/* The TTL to give out: whole seconds, at least 1, never more than it was. */
static long long left(const Kept *self, double now)
{
    double seconds = ceil(self->expires - now);

    if (seconds >= self->ttl)
        return self->ttl;
    return seconds > 1 || self->ttl < 1 ? (long long)seconds : 1;
}

static PyObject *kept_dies(Kept *self, PyObject *Py_UNUSED(none))
{
    return PyFloat_FromDouble(dies(self));
}

static PyObject *kept_due(Kept *self, PyObject *Py_UNUSED(none))
{
    return PyFloat_FromDouble(due(self));
}

static PyObject *kept_left(Kept *self, PyObject *now)
{
    double at = PyFloat_AsDouble(now);

    return at == -1 && PyErr_Occurred() ? NULL : PyLong_FromLongLong(left(self, at));
}

static PyMethodDef kept_methods[] = {
    {"dies", (PyCFunction)kept_dies, METH_NOARGS, "Return when it stops being given out."},
    {"due", (PyCFunction)kept_due, METH_NOARGS, "Return when it is time to ask for it anew."},
    {"left", (PyCFunction)kept_left, METH_O, "Return the TTL to give out."},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef kept_members[] = {
    {"octets", T_OBJECT_EX, offsetof(Kept, octets), 0, NULL},
    {"ttls", T_OBJECT_EX, offsetof(Kept, ttls), 0, NULL},
    {"cycle", T_OBJECT_EX, offsetof(Kept, cycle), 0, NULL},
    {"error", T_OBJECT, offsetof(Kept, error), 0, NULL},
    {"expires", T_DOUBLE, offsetof(Kept, expires), 0, NULL},
    {"ttl", T_LONGLONG, offsetof(Kept, ttl), 0, NULL},
    {"used", T_LONGLONG, offsetof(Kept, used), 0, NULL},
    {"epoch", T_INT, offsetof(Kept, epoch), 0, NULL},
    {"refreshing", T_BOOL, offsetof(Kept, refreshing), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyTypeObject KeptType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "kubedns._batch.Kept",
    .tp_basicsize = sizeof(Kept),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .tp_methods = kept_methods,
    .tp_members = kept_members,
    .tp_traverse = (traverseproc)kept_traverse,
    .tp_clear = (inquiry)kept_clear,
    .tp_dealloc = (destructor)kept_dealloc,
    .tp_new = PyType_GenericNew,
};

/* Shelf: a query, and the reply to it */

typedef struct {
    const unsigned char *octets;
    Py_ssize_t end;               /* of its question */
    int flags;
    int is_edns, do_bit;
    int limit;                    /* octets of a reply over UDP, with its ID */
} Asked;

/* Read a query without looking at its name; tell whether it has one of the usual forms. */
static int read_query(Asked *asked, const unsigned char *octets, Py_ssize_t size)
{
    static const unsigned char none[5] = {0};

    if (size < HEADER + 5 || octets[2] & ~1 || octets[3] & ~0x30 || octets[4] || octets[5] != 1
        || memcmp(octets + 6, none, 5) || octets[11] > 1)
        return 0;
    asked->octets = octets;
    asked->flags = octets[2] << 8 | octets[3];
    asked->is_edns = octets[11];
    asked->do_bit = 0;
    asked->limit = MIN_UDP;
    asked->end = size - (asked->is_edns ? OPT_SIZE : 0);
    if (asked->is_edns && asked->end >= HEADER + 5) {
        const unsigned char *opt = octets + asked->end;
        int room = opt[3] << 8 | opt[4];
        /* Root, OPT; no extended code, version 0, at most DO, no options. */
        if (opt[0] || opt[1] || opt[2] != 41 || opt[5] || opt[6] || opt[7] & 0x7f
            || opt[8] || opt[9] || opt[10])
            return 0;
        asked->do_bit = opt[7] >> 7;
        asked->limit = room < MIN_UDP ? MIN_UDP : room > MAX_UDP ? MAX_UDP : room;
    }
    return asked->end >= HEADER + 5 && asked->end <= HEADER + LONGEST;
}

/* Return what is kept for a query, borrowed; NULL: nothing, or an exception. */
static Kept *find(Shelf *self, const Asked *asked)
{
    Py_ssize_t size = asked->end - HEADER;
    PyObject *key = PyBytes_FromStringAndSize(NULL, size + 1), *found;
    unsigned char *to;

    if (!key)
        return NULL;
    to = (unsigned char *)PyBytes_AS_STRING(key);
    for (Py_ssize_t i = 0; i < size - 4; i++) {
        unsigned char octet = asked->octets[HEADER + i];
        to[i] = octet >= 'A' && octet <= 'Z' ? octet | 0x20 : octet;
    }
    memcpy(to + size - 4, asked->octets + asked->end - 4, 4);
    to[size] = asked->do_bit | (asked->flags & 0x10) >> 3;
    found = PyDict_GetItemWithError(self->entries, key);
    Py_DECREF(key);
    if (found && !PyObject_TypeCheck(found, &KeptType)) {
        PyErr_SetString(PyExc_TypeError, "not a kept answer");
        found = NULL;
    }
    return (Kept *)found;
}

/* Return an offset in a message, or -1 if there is none within these bounds. */
static Py_ssize_t offset_in(PyObject *offsets, Py_ssize_t i, Py_ssize_t least, Py_ssize_t most)
{
    PyObject *item = PyTuple_GET_ITEM(offsets, i);
    Py_ssize_t at = PyLong_Check(item) ? PyLong_AsSsize_t(item) : -1;

    return at >= least && at <= most ? at : -1;
}

/*
 * Return what answers a query; NULL: nothing that would be simple, or an exception.
 *
 * It is borrowed, and `size` is that of its reply, at most MAX_UDP or, over TCP, MAX_TCP.
 */
static Kept *choose(Shelf *self, Asked *asked, double now, int tcp, Py_ssize_t *size)
{
    Kept *kept = find(self, asked);

    if (!kept || kept->epoch != self->epoch)
        return NULL;
    /* In its last tenth somebody may want to ask for it anew; due is before it dies, always. */
    if (now >= (kept->refreshing || kept->ttl < 3 ? dies(kept) : due(kept)))
        return NULL;
    if (!kept->octets || !PyBytes_Check(kept->octets) || !kept->ttls || !PyTuple_Check(kept->ttls)
        || !kept->cycle || !PyTuple_Check(kept->cycle)) {
        PyErr_SetString(PyExc_TypeError, "not a whole answer");
        return NULL;
    }
    if (asked->is_edns && kept->error && kept->error != Py_None)
        return NULL;
    *size = 2 + PyBytes_GET_SIZE(kept->octets) + (asked->is_edns ? OPT_SIZE : 0);
    return *size >= asked->end && *size <= (tcp ? MAX_TCP : asked->limit) ? kept : NULL;
}

/*
 * Write the reply to a query; return 0 if its offsets are none, perhaps with an exception.
 *
 * Of records that rotate, those from `middle` to `end` stand before those from `start` on.
 */
static int write_reply(Shelf *self, const Asked *asked, Kept *kept, double now, unsigned char *to)
{
    const unsigned char *octets = (unsigned char *)PyBytes_AS_STRING(kept->octets);
    Py_ssize_t size = PyBytes_GET_SIZE(kept->octets), least = asked->end - 2;
    Py_ssize_t start = 0, middle = 0, end = 0, last = PyTuple_GET_SIZE(kept->cycle) - 1;
    long long ttl = left(kept, now);
    uint32_t number = htonl((uint32_t)(ttl < self->max_ttl ? ttl : self->max_ttl));
    int flags = octets[0] << 8 | octets[1];

    if (last > 0) {
        Py_ssize_t turn = (Py_ssize_t)((size_t)(kept->used + 1) % (size_t)last);
        if ((start = offset_in(kept->cycle, 0, least, size)) < 0
            || (middle = offset_in(kept->cycle, turn, start, size)) < 0
            || (end = offset_in(kept->cycle, last, middle, size)) < 0)
            return 0;
    }
    if (!(asked->flags & 0x20) && !asked->do_bit)
        flags &= ~0x20;  /* AD only for who asks for it */
    flags = (flags & ~0x0110) | 0x8080 | (asked->flags & 0x0110);
    memcpy(to, asked->octets, 2);
    to += 2;
    memcpy(to, octets, size);
    to[0] = flags >> 8;
    to[1] = flags & 255;
    memcpy(to + HEADER - 2, asked->octets + HEADER, asked->end - HEADER);
    memcpy(to + start, octets + middle, end - middle);
    memcpy(to + start + (end - middle), octets + start, middle - start);
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(kept->ttls); i++) {
        Py_ssize_t at = offset_in(kept->ttls, i, least, size - 4);
        if (at < 0)
            return 0;
        if (at >= start && at < end)
            at += at < middle ? end - middle : start - middle;
        if (at > size - 4)  /* it lay across `middle` */
            return 0;
        memcpy(to + at, &number, 4);
    }
    if (asked->is_edns) {
        unsigned char opt[OPT_SIZE] = {0, 0, 41, MAX_UDP >> 8, MAX_UDP & 255};
        opt[7] = asked->do_bit << 7;
        to[9] += 1;
        memcpy(to + size, opt, OPT_SIZE);
    }
    kept->used++;
    return 1;
}

/* Write the reply to a query and count it; return -1 with an exception. */
static int give(Shelf *self, const Asked *asked, Kept *kept, double now, int tcp, unsigned char *to)
{
    if (!write_reply(self, asked, kept, now, to)) {
        if (!PyErr_Occurred())
            PyErr_SetString(PyExc_ValueError, "offsets outside of an answer");
        return -1;
    }
    self->given[!!tcp][to[3] & 15]++;
    return 0;
}

/* Shelf: what Python sees */

static PyObject *shelf_reply(Shelf *self, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"message", "now", "tcp", NULL};
    const char *message;
    Py_ssize_t message_size, size;
    PyObject *reply;
    double now;
    int tcp = 0;
    Asked asked;
    Kept *kept = NULL;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "y#d|p", names, &message, &message_size, &now,
                                     &tcp))
        return NULL;
    if (read_query(&asked, (const unsigned char *)message, message_size))
        kept = choose(self, &asked, now, tcp, &size);
    if (!kept && PyErr_Occurred())
        return NULL;
    if (!kept)
        Py_RETURN_NONE;
    if (!(reply = PyBytes_FromStringAndSize(NULL, size)))
        return NULL;
    if (give(self, &asked, kept, now, tcp, (unsigned char *)PyBytes_AS_STRING(reply)) < 0)
        Py_CLEAR(reply);
    return reply;
}

static PyObject *shelf_given(Shelf *self, PyObject *Py_UNUSED(none))
{
    PyObject *both = PyTuple_New(2);

    for (int tcp = 0; both && tcp < 2; tcp++) {
        PyObject *counts = PyTuple_New(16);
        if (counts)
            PyTuple_SET_ITEM(both, tcp, counts);
        else
            Py_CLEAR(both);
        for (int rcode = 0; both && rcode < 16; rcode++) {
            PyObject *count = PyLong_FromLongLong(self->given[tcp][rcode]);
            if (count)
                PyTuple_SET_ITEM(counts, rcode, count);
            else
                Py_CLEAR(both);
        }
    }
    return both;
}

static int shelf_traverse(Shelf *self, visitproc visit, void *arg)
{
    Py_VISIT(self->entries);
    return 0;
}

static int shelf_clear(Shelf *self)
{
    Py_CLEAR(self->entries);
    return 0;
}

static void shelf_dealloc(Shelf *self)
{
    PyObject_GC_UnTrack(self);
    shelf_clear(self);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static PyObject *shelf_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"entries", NULL};
    PyObject *entries;
    Shelf *self;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O!", names, &PyDict_Type, &entries)
        || !(self = (Shelf *)type->tp_alloc(type, 0)))
        return NULL;
    Py_INCREF(entries);
    self->entries = entries;
    self->max_ttl = 0x7fffffff;
    return (PyObject *)self;
}

static PyMethodDef shelf_methods[] = {
    {"reply", (PyCFunction)(void (*)(void))shelf_reply, METH_VARARGS | METH_KEYWORDS,
     "Return the reply to a query; None: there is none, or it is not so simple."},
    {"given", (PyCFunction)shelf_given, METH_NOARGS,
     "Return how many replies were made, by response code: over UDP, and over TCP."},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef shelf_members[] = {
    {"epoch", T_INT, offsetof(Shelf, epoch), 0, NULL},
    {"max_ttl", T_UINT, offsetof(Shelf, max_ttl), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyTypeObject ShelfType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "kubedns._batch.Shelf",
    .tp_basicsize = sizeof(Shelf),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .tp_methods = shelf_methods,
    .tp_members = shelf_members,
    .tp_traverse = (traverseproc)shelf_traverse,
    .tp_clear = (inquiry)shelf_clear,
    .tp_dealloc = (destructor)shelf_dealloc,
    .tp_new = shelf_new,
};

/* Batch: what the system sees */

static unsigned char *octets_of(Batch *self, int i)
{
    return self->octets + (size_t)i * STRIDE;
}

static double monotonic(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec + now.tv_nsec / 1e9;
}

/* Sandboxes may refuse these calls, or MSG_WAITFORONE: then it is one datagram at a time. */
static int is_refused(int error)
{
    return error == ENOSYS || error == EPERM || error == EINVAL;
}

/* Send all replies, without the lock; one that fails does not keep the others. */
static void send_all(Batch *self)
{
    int timed = self->count && ++self->batches % SAMPLE == 0;
    double began = timed ? monotonic() : 0;
    int at = 0;

    while (at < self->count) {
        int sent = sendmmsg(self->fd, self->out + at, self->count - at, 0);
        if (sent < 0 && is_refused(errno) && sendmsg(self->fd, &self->out[at].msg_hdr, 0) >= 0)
            sent = 1;
        if (sent > 0) {
            at += sent;
        } else if (sent == 0 || errno != EINTR) {
            self->failed[self->failures++] = sent < 0 ? errno : EIO;
            at++;
        }
    }
    if (timed)
        self->send_s = (monotonic() - began) / self->count;
}

/* Wait for datagrams, without the lock; return how many there are, or -1 with errno. */
static int receive(Batch *self)
{
    int got;

    for (int i = 0; i < self->used; i++) {
        struct msghdr *from = &self->in[i].msg_hdr;
        from->msg_namelen = sizeof self->clients[i];
        from->msg_controllen = self->noting ? NOTES : 0;
    }
    do {
        got = recvmmsg(self->fd, self->in, MOST, MSG_WAITFORONE, NULL);
        if (got < 0 && is_refused(errno)) {
            ssize_t size = recvmsg(self->fd, &self->in[0].msg_hdr, 0);
            got = size < 0 ? -1 : 1;
            self->in[0].msg_len = size < 0 ? 0 : size;
        }
    } while (got < 0 && errno == EINTR);
    self->used = got > 0 ? got : 0;
    return got;
}

/*
 * Turn the notes where a datagram went into the wish where its reply comes from.
 *
 * Without the interface, so that routing may choose another one; link-local addresses need it.
 */
static void wish(struct msghdr *noted)
{
    struct cmsghdr *note;

    for (note = CMSG_FIRSTHDR(noted); note; note = CMSG_NXTHDR(noted, note)) {
        unsigned char *data = CMSG_DATA(note);
        if (note->cmsg_level == IPPROTO_IP && note->cmsg_type == IP_PKTINFO
            && note->cmsg_len >= CMSG_LEN(sizeof(struct in_pktinfo))) {
            memset(data + offsetof(struct in_pktinfo, ipi_ifindex), 0, sizeof(int));
            memset(data + offsetof(struct in_pktinfo, ipi_addr), 0, sizeof(struct in_addr));
        } else if (note->cmsg_level == IPPROTO_IPV6 && note->cmsg_type == IPV6_PKTINFO
            && note->cmsg_len >= CMSG_LEN(sizeof(struct in6_pktinfo))) {
            if (data[0] != 0xfe || data[1] != 0x80)
                memset(data + offsetof(struct in6_pktinfo, ipi6_ifindex), 0, sizeof(int));
        }
    }
}

/* Batch: what Python sees */

/* Drop what was sent. */
static void let_go(Batch *self)
{
    while (self->count)
        Py_XDECREF(self->held[--self->count]);
}

/* Append the errno of every reply that could not be sent; return -1 with an exception. */
static int tell(Batch *self, PyObject *failures)
{
    int done = 0;

    for (int i = 0; i < self->failures && !done; i++) {
        PyObject *number = PyLong_FromLong(self->failed[i]);
        done = number ? PyList_Append(failures, number) : -1;
        Py_XDECREF(number);
    }
    self->failures = 0;
    return done;
}

static int flush(Batch *self, PyObject *failures)
{
    Py_BEGIN_ALLOW_THREADS
    send_all(self);
    Py_END_ALLOW_THREADS
    let_go(self);
    return tell(self, failures);
}

/* Return a client's address as the socket module writes it; None if there is none. */
static PyObject *client_of(Batch *self, int i)
{
    char text[INET6_ADDRSTRLEN] = "";
    const struct sockaddr_in *v4 = &self->clients[i].v4;
    const struct sockaddr_in6 *v6 = &self->clients[i].v6;
    socklen_t size = self->in[i].msg_hdr.msg_namelen;

    if (size >= sizeof *v4 && v4->sin_family == AF_INET) {
        inet_ntop(AF_INET, &v4->sin_addr, text, sizeof text);
        return Py_BuildValue("si", text, ntohs(v4->sin_port));
    }
    if (size >= sizeof *v6 && v6->sin6_family == AF_INET6) {
        inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof text);
        return Py_BuildValue("siII", text, ntohs(v6->sin6_port), ntohl(v6->sin6_flowinfo),
                             v6->sin6_scope_id);
    }
    Py_RETURN_NONE;
}

/* Return the wish where a reply comes from as `sendmsg` takes it. */
static PyObject *source_of(struct msghdr *noted)
{
    PyObject *source = PyList_New(0);
    struct cmsghdr *note;

    for (note = CMSG_FIRSTHDR(noted); source && note; note = CMSG_NXTHDR(noted, note)) {
        PyObject *item = Py_BuildValue("iiy#", note->cmsg_level, note->cmsg_type,
                                       (char *)CMSG_DATA(note),
                                       (Py_ssize_t)(note->cmsg_len - CMSG_LEN(0)));
        if (!item || PyList_Append(source, item) < 0)
            Py_CLEAR(source);
        Py_XDECREF(item);
    }
    return source;
}

/* Hand a query over to Python; return -1 with an exception. */
static int miss(Batch *self, int i, PyObject *misses)
{
    PyObject *client = client_of(self, i);
    PyObject *source = client ? source_of(&self->in[i].msg_hdr) : NULL;
    PyObject *item = NULL;
    int done = -1;

    if (source)
        item = Py_BuildValue("y#OO", (char *)octets_of(self, i), (Py_ssize_t)self->in[i].msg_len,
                             client, source);
    if (item)
        done = PyList_Append(misses, item);
    Py_XDECREF(item);
    Py_XDECREF(source);
    Py_XDECREF(client);
    return done;
}

/* Return the next turn of an answer, a new reference, or NULL with an exception. */
static PyObject *turn_of(Turning *answer)
{
    PyObject *turns = answer->turns, *turn = NULL;
    Py_ssize_t size;

    if (!turns) {
        PyErr_SetString(PyExc_AttributeError, "turns");
        return NULL;
    }
    Py_INCREF(turns);
    size = PySequence_Size(turns);
    if (size > 0)
        turn = PySequence_GetItem(turns, (Py_ssize_t)((size_t)answer->uses++ % (size_t)size));
    else if (size == 0)
        PyErr_SetString(PyExc_ZeroDivisionError, "an answer without turns");
    Py_DECREF(turns);
    if (turn && !PyBytes_Check(turn)) {
        PyErr_SetString(PyExc_TypeError, "a turn must be bytes");
        Py_CLEAR(turn);
    }
    return turn;
}

/* Return the turn that answers a query, or NULL: not ready, or an exception. */
static PyObject *look_up(Batch *self, int i, PyObject *table, double now)
{
    Py_ssize_t size = (Py_ssize_t)self->in[i].msg_len - 2;
    PyObject *key, *found, *turn = NULL;

    if (size <= 0 || !PyDict_GET_SIZE(table)
        || !(key = PyBytes_FromStringAndSize((char *)octets_of(self, i) + 2, size)))
        return NULL;
    found = PyDict_GetItemWithError(table, key);
    Py_XINCREF(found);  /* to age is to call Python: others may drop it from the table */
    Py_DECREF(key);
    if (!found)
        return NULL;
    if (!PyObject_TypeCheck(found, &TurningType)) {
        PyErr_SetString(PyExc_TypeError, "not an answer in turns");
    } else if (now < ((Turning *)found)->until) {
        turn = turn_of((Turning *)found);
    } else {
        PyObject *aged = PyObject_CallMethod(found, "age", "d", now);
        if (aged && PyObject_IsTrue(aged) > 0)
            turn = turn_of((Turning *)found);
        Py_XDECREF(aged);
    }
    Py_DECREF(found);
    return turn;
}

/*
 * Decide what a query is answered with, and put it beside the other replies.
 *
 * Return whether it is; -1 with an exception.
 */
static int decide(Batch *self, int i, PyObject *table, Shelf *shelf, double now)
{
    struct msghdr *from = &self->in[i].msg_hdr;
    struct msghdr *to = &self->out[self->count].msg_hdr;
    struct iovec *parts = self->out_parts[self->count];
    PyObject *turn = look_up(self, i, table, now);

    if (turn) {
        parts[1].iov_base = PyBytes_AS_STRING(turn);
        parts[1].iov_len = PyBytes_GET_SIZE(turn);
    } else if (PyErr_Occurred()) {
        return -1;
    } else if (shelf) {
        unsigned char *made = self->made[self->count];
        Py_ssize_t size;
        Asked asked;
        Kept *kept = NULL;
        if (read_query(&asked, octets_of(self, i), self->in[i].msg_len))
            kept = choose(shelf, &asked, now, 0, &size);
        if (!kept || give(shelf, &asked, kept, now, 0, made) < 0)
            return PyErr_Occurred() ? -1 : 0;
        parts[1].iov_base = made + 2;
        parts[1].iov_len = size - 2;
    } else {
        return 0;
    }
    if (self->ring)
        ring_hit(self->ring, now, octets_of(self, i), self->in[i].msg_len, parts[1].iov_base,
                 parts[1].iov_len, &self->clients[i].any, from->msg_namelen);
    parts[0].iov_base = octets_of(self, i);
    to->msg_name = from->msg_name;
    to->msg_namelen = from->msg_namelen;
    to->msg_control = from->msg_control;
    to->msg_controllen = from->msg_controllen;
    self->held[self->count++] = turn;
    return 1;
}

/*
 * Divide a batch into replies and misses; return -1 with the first exception.
 *
 * One query must not cost another one its answer, so the rest is done all the same.
 */
static int divide(Batch *self, int got, PyObject *table, Shelf *shelf, PyObject *misses)
{
    PyObject *type = NULL, *value = NULL, *traceback = NULL;
    double now = monotonic();

    for (int i = 0; i < got; i++) {
        if (self->noting)
            wish(&self->in[i].msg_hdr);
        if (!decide(self, i, table, shelf, now))
            miss(self, i, misses);
        if (PyErr_Occurred() && type)
            PyErr_WriteUnraisable((PyObject *)self);
        else if (PyErr_Occurred())
            PyErr_Fetch(&type, &value, &traceback);
    }
    if (!type)
        return 0;
    PyErr_Restore(type, value, traceback);
    return -1;
}

/* Return the shelf of a table, a new reference; NULL: none, or an exception. */
static Shelf *shelf_of(PyObject *table)
{
    PyObject *found;

    if (PyDict_CheckExact(table) || !(found = PyObject_GetAttrString(table, "shelf")))
        return NULL;
    if (found != Py_None && PyObject_TypeCheck(found, &ShelfType))
        return (Shelf *)found;
    if (found != Py_None)
        PyErr_SetString(PyExc_TypeError, "not a shelf");
    Py_DECREF(found);
    return NULL;
}

static PyObject *answer(Batch *self, PyObject *table, Shelf *shelf, PyObject *misses,
                        PyObject *failures)
{
    for (;;) {
        int got, done;
        Py_BEGIN_ALLOW_THREADS
        send_all(self);
        if (self->failures || __atomic_load_n(&self->stopped, __ATOMIC_RELAXED))
            got = 0;
        else if ((got = receive(self)) < 0)
            got = -errno;
        Py_END_ALLOW_THREADS
        let_go(self);
        done = tell(self, failures);
        if (got > 0 && !done)
            done = divide(self, got, table, shelf, misses);
        if (got > 0 && !done && !PyList_GET_SIZE(misses) && !PyList_GET_SIZE(failures))
            continue;
        if (got < 0 && !done) {
            errno = -got;
            PyErr_SetFromErrno(PyExc_OSError);
            done = -1;
        }
        if (done) {
            PyObject *type, *value, *traceback;
            PyErr_Fetch(&type, &value, &traceback);
            if (flush(self, failures))
                PyErr_WriteUnraisable((PyObject *)self);
            PyErr_Restore(type, value, traceback);
            return NULL;
        }
        if (flush(self, failures))
            return NULL;
        Py_RETURN_NONE;
    }
}

static PyObject *batch_answer(Batch *self, PyObject *args)
{
    PyObject *table, *misses, *failures, *result;
    Shelf *shelf;

    if (!PyArg_ParseTuple(args, "O!O!O!", &PyDict_Type, &table, &PyList_Type, &misses,
                          &PyList_Type, &failures))
        return NULL;
    if (self->busy) {
        PyErr_SetString(PyExc_RuntimeError, "a batch belongs to one thread");
        return NULL;
    }
    if (!(shelf = shelf_of(table)) && PyErr_Occurred())
        return NULL;
    self->busy = 1;
    result = answer(self, table, shelf, misses, failures);
    Py_XDECREF(shelf);
    self->busy = 0;
    return result;
}

/* Receive what is there, without waiting; return how many datagrams, or -1 with errno. */
static int receive_now(Batch *self)
{
    int got;

    for (int i = 0; i < self->used; i++) {
        self->in[i].msg_hdr.msg_namelen = sizeof self->clients[i];
        self->in[i].msg_hdr.msg_controllen = self->noting ? NOTES : 0;
    }
    got = recvmmsg(self->fd, self->in, MOST, MSG_DONTWAIT, NULL);
    if (got < 0 && is_refused(errno)) {
        ssize_t size = 0;
        for (got = 0; got < MOST; got++) {
            if ((size = recvmsg(self->fd, &self->in[got].msg_hdr, MSG_DONTWAIT)) < 0)
                break;
            self->in[got].msg_len = size;
        }
        if (!got)
            got = -1;
    }
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
        got = 0;
    self->used = got > 0 ? got : 0;
    return got;
}

static PyObject *take(Batch *self, PyObject *table, Shelf *shelf, PyObject *misses,
                      PyObject *failures)
{
    PyObject *type, *value, *traceback;
    int got = receive_now(self), done = 0;

    if (got < 0)
        return PyErr_SetFromErrno(PyExc_OSError);
    if (got > 0)
        done = divide(self, got, table, shelf, misses);
    PyErr_Fetch(&type, &value, &traceback);
    if (self->count && flush(self, failures) && done)
        PyErr_WriteUnraisable((PyObject *)self);
    else if (PyErr_Occurred())
        done = -1;
    if (type)
        PyErr_Restore(type, value, traceback);
    return done ? NULL : PyLong_FromLong(got);
}

static PyObject *batch_take(Batch *self, PyObject *args)
{
    PyObject *table, *misses, *failures, *result;
    Shelf *shelf;

    if (!PyArg_ParseTuple(args, "O!O!O!", &PyDict_Type, &table, &PyList_Type, &misses,
                          &PyList_Type, &failures))
        return NULL;
    if (self->busy) {
        PyErr_SetString(PyExc_RuntimeError, "a batch belongs to one thread at a time");
        return NULL;
    }
    if (!(shelf = shelf_of(table)) && PyErr_Occurred())
        return NULL;
    self->busy = 1;
    result = take(self, table, shelf, misses, failures);
    Py_XDECREF(shelf);
    self->busy = 0;
    return result;
}

static PyObject *batch_stop(Batch *self, PyObject *Py_UNUSED(none))
{
    __atomic_store_n(&self->stopped, 1, __ATOMIC_RELAXED);
    Py_RETURN_NONE;
}

static PyObject *batch_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"bound", "any_address", "ring", NULL};
    PyObject *bound, *ring = Py_None;
    int fd, noting = 0;
    Batch *self;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|$pO", names, &bound, &noting, &ring))
        return NULL;
    if (ring != Py_None && !PyObject_TypeCheck(ring, &RingType)) {
        PyErr_SetString(PyExc_TypeError, "not a ring");
        return NULL;
    }
    if ((fd = PyObject_AsFileDescriptor(bound)) < 0
        || !(self = (Batch *)type->tp_alloc(type, 0)))
        return NULL;
    self->octets = PyMem_RawMalloc((size_t)MOST * STRIDE);
    self->made = PyMem_RawMalloc(MOST * sizeof *self->made);
    if (!self->octets || !self->made) {
        Py_DECREF(self);
        return PyErr_NoMemory();
    }
    self->fd = fd;
    self->noting = noting;
    self->ring = ring == Py_None ? NULL : Py_NewRef(ring);
    self->used = MOST;
    for (int i = 0; i < MOST; i++) {
        self->in_parts[i].iov_base = octets_of(self, i);
        self->in_parts[i].iov_len = ROOM;
        self->in[i].msg_hdr.msg_iov = &self->in_parts[i];
        self->in[i].msg_hdr.msg_iovlen = 1;
        self->in[i].msg_hdr.msg_name = &self->clients[i];
        self->in[i].msg_hdr.msg_control = self->notes[i];
        self->out[i].msg_hdr.msg_iov = self->out_parts[i];
        self->out[i].msg_hdr.msg_iovlen = 2;
        self->out_parts[i][0].iov_len = 2;
    }
    return (PyObject *)self;
}

static void batch_dealloc(Batch *self)
{
    let_go(self);
    Py_XDECREF(self->ring);
    PyMem_RawFree(self->octets);
    PyMem_RawFree(self->made);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

/* Sending by any sockets */

typedef struct {
    int fd;
    int errno_;                   /* why it could not be sent; 0: it was */
    PyObject *octets;             /* held until it is sent */
    socklen_t size;               /* of `to`; 0: the socket is connected */
    union { struct sockaddr any; struct sockaddr_in v4; struct sockaddr_in6 v6; } to;
} Parcel;

/* Read an address as the socket module writes it; return its size, or 0 with an exception. */
static socklen_t address_of(PyObject *address, Parcel *parcel)
{
    const char *host;
    int port;
    unsigned flow = 0, scope = 0;

    if (!PyTuple_Check(address)) {
        PyErr_SetString(PyExc_TypeError, "an address must be a tuple");
        return 0;
    }
    if (!PyArg_ParseTuple(address, "si|II", &host, &port, &flow, &scope))
        return 0;
    memset(&parcel->to, 0, sizeof parcel->to);
    if (PyTuple_GET_SIZE(address) == 2 && inet_pton(AF_INET, host, &parcel->to.v4.sin_addr) == 1) {
        parcel->to.v4.sin_family = AF_INET;
        parcel->to.v4.sin_port = htons(port);
        return sizeof parcel->to.v4;
    }
    if (inet_pton(AF_INET6, host, &parcel->to.v6.sin6_addr) == 1) {
        parcel->to.v6.sin6_family = AF_INET6;
        parcel->to.v6.sin6_port = htons(port);
        parcel->to.v6.sin6_flowinfo = htonl(flow);
        parcel->to.v6.sin6_scope_id = scope;
        return sizeof parcel->to.v6;
    }
    PyErr_SetString(PyExc_ValueError, "no IP address");
    return 0;
}

/* Read one item of the list; return -1 with an exception. */
static int parcel_of(PyObject *item, Parcel *parcel)
{
    PyObject *address, *owner;

    if (!PyTuple_Check(item)) {
        PyErr_SetString(PyExc_TypeError, "a parcel must be a tuple");
        return -1;
    }
    if (!PyArg_ParseTuple(item, "iSOO", &parcel->fd, &parcel->octets, &address, &owner))
        return -1;
    parcel->errno_ = 0;
    parcel->size = 0;
    if (address != Py_None && !(parcel->size = address_of(address, parcel)))
        return -1;
    Py_INCREF(parcel->octets);
    return 0;
}

static void send_parcel(Parcel *parcel)
{
    const char *octets = PyBytes_AS_STRING(parcel->octets);
    size_t size = PyBytes_GET_SIZE(parcel->octets);
    struct sockaddr *to = parcel->size ? &parcel->to.any : NULL;

    do {
        parcel->errno_ = sendto(parcel->fd, octets, size, 0, to, parcel->size) < 0 ? errno : 0;
    } while (parcel->errno_ == EINTR);
}

static PyObject *send_each(PyObject *Py_UNUSED(module), PyObject *list)
{
    Parcel parcels[MOST];
    PyObject *failures;
    Py_ssize_t at = 0;

    if (!PyList_Check(list)) {
        PyErr_SetString(PyExc_TypeError, "a list is needed");
        return NULL;
    }
    if (!(failures = PyList_New(0)))
        return NULL;
    while (at < PyList_GET_SIZE(list) && !PyErr_Occurred()) {
        int count = 0;
        for (; count < MOST && at + count < PyList_GET_SIZE(list); count++)
            if (parcel_of(PyList_GET_ITEM(list, at + count), &parcels[count]) < 0)
                break;
        Py_BEGIN_ALLOW_THREADS
        for (int i = 0; i < count; i++)
            send_parcel(&parcels[i]);
        Py_END_ALLOW_THREADS
        for (int i = 0; i < count; i++, at++) {
            Py_DECREF(parcels[i].octets);
            if (parcels[i].errno_ && !PyErr_Occurred()) {
                PyObject *failure = Py_BuildValue("ni", at, parcels[i].errno_);
                if (failure)
                    PyList_Append(failures, failure);
                Py_XDECREF(failure);
            }
        }
    }
    if (PyErr_Occurred())
        Py_CLEAR(failures);
    return failures;
}

static PyMethodDef functions[] = {
    {"send_each", send_each, METH_O,
     "Send datagrams; return which could not be sent (offset in the list, errno)."},
    {NULL, NULL, 0, NULL},
};

static PyMethodDef batch_methods[] = {
    {"answer", (PyCFunction)batch_answer, METH_VARARGS,
     "Answer what is in the table, until there is something else to do."},
    {"take", (PyCFunction)batch_take, METH_VARARGS,
     "Answer what is there, without waiting; return how many datagrams that were."},
    {"stop", (PyCFunction)batch_stop, METH_NOARGS,
     "Let `answer` return after the batch that it has in hand."},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef batch_members[] = {
    {"send_s", T_DOUBLE, offsetof(Batch, send_s), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyTypeObject BatchType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "kubedns._batch.Batch",
    .tp_basicsize = sizeof(Batch),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_methods = batch_methods,
    .tp_members = batch_members,
    .tp_new = batch_new,
    .tp_dealloc = (destructor)batch_dealloc,
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_batch",
    .m_size = -1,
    .m_methods = functions,
};

PyMODINIT_FUNC PyInit__batch(void)
{
    PyObject *module;

    if (PyType_Ready(&TurningType) < 0 || PyType_Ready(&KeptType) < 0
        || PyType_Ready(&ShelfType) < 0 || PyType_Ready(&BatchType) < 0
        || PyType_Ready(&RingType) < 0)
        return NULL;
    module = PyModule_Create(&definition);
    if (module && (PyModule_AddType(module, &TurningType) < 0
                   || PyModule_AddType(module, &KeptType) < 0
                   || PyModule_AddType(module, &ShelfType) < 0
                   || PyModule_AddType(module, &BatchType) < 0
                   || PyModule_AddType(module, &RingType) < 0))
        Py_CLEAR(module);
    return module;
}
