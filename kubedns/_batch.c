/*
 * Datagrams by the batch: one system call receives what is there, one sends what is known of it.
 *
 * Between these two the interpreter's lock is taken, once for the whole batch.  A query that finds
 * its answer in the table gets its own ID and the octets of a turn, sent from where they lie.  All
 * else is handed to Python.  See batch.py, and plainbatch.py for the same in Python.
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

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <time.h>

enum {
    MOST = 64,                    /* datagrams in a batch: AT_ONCE of plainbatch.py */
    ROOM = 4096,                  /* octets of a query; the kernel cuts the rest off */
    STRIDE = ROOM + 128,          /* else all heads fall on the same lines of the CPU cache */
    NOTES = 128,                  /* octets of ancillary data */
    SAMPLE = 256,                 /* every so many batches the sending is timed */
};

/* The same class as in plainbatch.py. */
typedef struct {
    PyObject_HEAD
    double until;                 /* monotonic; from then on `age` must be asked */
    long long uses;
    PyObject *turns;
} Turning;

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
    PyObject *held[MOST];         /* the turns in `out` */
    unsigned char *octets;
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
        Py_DECREF(self->held[--self->count]);
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

    if (size <= 0 || !(key = PyBytes_FromStringAndSize((char *)octets_of(self, i) + 2, size)))
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

/* Put a reply beside the others; takes over the reference. */
static void reply(Batch *self, int i, PyObject *turn)
{
    struct msghdr *from = &self->in[i].msg_hdr;
    struct msghdr *to = &self->out[self->count].msg_hdr;
    struct iovec *parts = self->out_parts[self->count];

    parts[0].iov_base = octets_of(self, i);
    parts[1].iov_base = PyBytes_AS_STRING(turn);
    parts[1].iov_len = PyBytes_GET_SIZE(turn);
    to->msg_name = from->msg_name;
    to->msg_namelen = from->msg_namelen;
    to->msg_control = from->msg_control;
    to->msg_controllen = from->msg_controllen;
    self->held[self->count++] = turn;
}

/*
 * Divide a batch into replies and misses; return -1 with the first exception.
 *
 * One query must not cost another one its answer, so the rest is done all the same.
 */
static int divide(Batch *self, int got, PyObject *table, PyObject *misses)
{
    PyObject *type = NULL, *value = NULL, *traceback = NULL;
    double now = monotonic();

    for (int i = 0; i < got; i++) {
        PyObject *turn;
        if (self->noting)
            wish(&self->in[i].msg_hdr);
        turn = look_up(self, i, table, now);
        if (turn)
            reply(self, i, turn);
        else if (!PyErr_Occurred())
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

static PyObject *answer(Batch *self, PyObject *table, PyObject *misses, PyObject *failures)
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
            done = divide(self, got, table, misses);
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

    if (!PyArg_ParseTuple(args, "O!O!O!", &PyDict_Type, &table, &PyList_Type, &misses,
                          &PyList_Type, &failures))
        return NULL;
    if (self->busy) {
        PyErr_SetString(PyExc_RuntimeError, "a batch belongs to one thread");
        return NULL;
    }
    self->busy = 1;
    result = answer(self, table, misses, failures);
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

static PyObject *take(Batch *self, PyObject *table, PyObject *misses, PyObject *failures)
{
    PyObject *type, *value, *traceback;
    int got = receive_now(self), done = 0;

    if (got < 0)
        return PyErr_SetFromErrno(PyExc_OSError);
    if (got > 0)
        done = divide(self, got, table, misses);
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

    if (!PyArg_ParseTuple(args, "O!O!O!", &PyDict_Type, &table, &PyList_Type, &misses,
                          &PyList_Type, &failures))
        return NULL;
    if (self->busy) {
        PyErr_SetString(PyExc_RuntimeError, "a batch belongs to one thread at a time");
        return NULL;
    }
    self->busy = 1;
    result = take(self, table, misses, failures);
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
    static char *names[] = {"bound", "any_address", NULL};
    PyObject *bound;
    int fd, noting;
    Batch *self;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O$p", names, &bound, &noting)
        || (fd = PyObject_AsFileDescriptor(bound)) < 0
        || !(self = (Batch *)type->tp_alloc(type, 0)))
        return NULL;
    self->octets = PyMem_RawMalloc((size_t)MOST * STRIDE);
    if (!self->octets) {
        Py_DECREF(self);
        return PyErr_NoMemory();
    }
    self->fd = fd;
    self->noting = noting;
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
    PyMem_RawFree(self->octets);
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

    if (PyType_Ready(&TurningType) < 0 || PyType_Ready(&BatchType) < 0)
        return NULL;
    module = PyModule_Create(&definition);
    if (module && (PyModule_AddType(module, &TurningType) < 0
                   || PyModule_AddType(module, &BatchType) < 0))
        Py_CLEAR(module);
    return module;
}
