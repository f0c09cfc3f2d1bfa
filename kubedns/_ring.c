/*
 * What was answered last: records of different sizes in a fixed piece of memory.
 *
 * Records lie one behind the other, none across the end, and the oldest give way: to a newer one's
 * octets, or to its place among `starts`.  Their form is that of plainring.py, which does the same
 * in Python and is held to the same tests.
 *
 * Threads: everything here happens with the interpreter's lock held, and gives it up nowhere.
 */
#include "_ring.h"
#include <structmember.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>

enum {
    KEPT = 512,                   /* octets of a message; of the rest only the size is told */
    HIT = 0,                      /* source: a receiver gave what was ready */
    TCP = 16,
    LEAST = 4096,
    NEXT = 320,                   /* octets of a record, usually at most */
    LINE = 64,                    /* of the CPU cache */
};
static const uint32_t NOT_TAKEN = 0xffffffff;

typedef struct {
    uint64_t time;                /* monotonic microseconds */
    uint32_t size;                /* with this head, a multiple of eight */
    uint32_t took;                /* microseconds */
    uint16_t query, whole_query, reply, whole_reply;
    uint16_t port;
    uint8_t kind;                 /* source, and TCP */
    uint8_t spare;
    uint32_t weight;              /* how many such it stands for */
    unsigned char address[16];
} Head;

typedef struct {
    PyObject_HEAD
    unsigned char *arena;
    uint64_t *starts;             /* by number modulo `slots`: positions, which grow for ever */
    unsigned long long next;      /* number of the next record */
    unsigned long long first;     /* of the oldest one that is there */
    Py_ssize_t slots, octets;
    Py_ssize_t next_slot, first_slot;
    uint64_t end;                 /* position of the next record */
    uint64_t lap;                 /* position of the arena's begin, this time round */
    unsigned int every;           /* of so many hits one is noted */
    unsigned int passed;          /* hits since the last one of these */
} Ring;

/* Return the place of the next record, whose head gets its size. */
static Head *begin(Ring *self, size_t size)
{
    Head *head;
    uint64_t position = self->end, end;

    if (position + size > self->lap + (uint64_t)self->octets)
        position = self->lap += (uint64_t)self->octets;
    end = position + size;
    while (self->first < self->next
           && (self->starts[self->first_slot] + (uint64_t)self->octets < end
               || self->next - self->first >= (unsigned long long)self->slots)) {
        self->first++;
        if (++self->first_slot == self->slots)
            self->first_slot = 0;
    }
    head = (Head *)(self->arena + (position - self->lap));
    head->size = (uint32_t)size;
    self->starts[self->next_slot] = position;
    if (++self->next_slot == self->slots)
        self->next_slot = 0;
    self->next++;
    self->end = end;
    return head;
}

static size_t kept(size_t size)
{
    return size < KEPT ? size : KEPT;
}

static size_t room(size_t query, size_t reply)
{
    return (sizeof(Head) + query + reply + 7) & ~(size_t)7;
}

static uint16_t bounded(size_t size)
{
    return size < 0xffff ? (uint16_t)size : 0xffff;
}

static void put_ipv4(Head *head, const void *octets)
{
    memset(head->address, 0, 10);
    memset(head->address + 10, 0xff, 2);
    memcpy(head->address + 12, octets, 4);
}

void ring_hit(PyObject *ring, double now, const unsigned char *query, size_t query_size,
              const char *turn, size_t turn_size, const struct sockaddr *client, size_t client_size)
{
    Ring *self = (Ring *)ring;
    size_t asked = kept(query_size), told = kept(turn_size + 2);
    unsigned char *at;
    Head *head;

    if (self->every > 1 && ++self->passed < self->every)
        return;
    self->passed = 0;
    head = begin(self, room(asked, told));
    head->time = (uint64_t)(now * 1e6);
    head->took = NOT_TAKEN;
    head->query = (uint16_t)asked;
    head->whole_query = bounded(query_size);
    head->reply = (uint16_t)told;
    head->whole_reply = bounded(turn_size + 2);
    head->kind = HIT;
    head->spare = 0;
    head->weight = self->every;
    if (client_size >= sizeof(struct sockaddr_in) && client->sa_family == AF_INET) {
        head->port = ntohs(((const struct sockaddr_in *)client)->sin_port);
        put_ipv4(head, &((const struct sockaddr_in *)client)->sin_addr);
    } else if (client_size >= sizeof(struct sockaddr_in6) && client->sa_family == AF_INET6) {
        head->port = ntohs(((const struct sockaddr_in6 *)client)->sin6_port);
        memcpy(head->address, &((const struct sockaddr_in6 *)client)->sin6_addr, 16);
    } else {
        head->port = 0;
        memset(head->address, 0, sizeof head->address);
    }
    at = (unsigned char *)(head + 1);
    memcpy(at, query, asked);
    at += asked;
    memcpy(at, query, 2);
    memcpy(at + 2, turn, told - 2);
    /* Where the next one will lie has not been touched for long. */
    for (at = self->arena + (self->end - self->lap), asked = 0; asked < NEXT; asked += LINE)
        __builtin_prefetch(at + asked, 1);
}

/* Take a client's address as the socket module writes it; unspecified if it is none. */
static int put_client(Head *head, PyObject *client)
{
    char text[INET6_ADDRSTRLEN + 1];
    struct in_addr v4;
    const char *host, *scope;
    long port;
    size_t size;

    head->port = 0;
    memset(head->address, 0, sizeof head->address);
    if (client == Py_None)
        return 0;
    if (!PyTuple_Check(client) || PyTuple_GET_SIZE(client) < 2
        || !(host = PyUnicode_AsUTF8(PyTuple_GET_ITEM(client, 0)))) {
        if (!PyErr_Occurred())
            PyErr_SetString(PyExc_TypeError, "a client must be a socket address");
        return -1;
    }
    port = PyLong_AsLong(PyTuple_GET_ITEM(client, 1));
    if (port == -1 && PyErr_Occurred())
        return -1;
    head->port = (uint16_t)port;
    scope = strchr(host, '%');
    size = scope ? (size_t)(scope - host) : strlen(host);
    if (size >= sizeof text)
        return 0;
    memcpy(text, host, size);
    text[size] = 0;
    if (inet_pton(AF_INET, text, &v4) == 1)
        put_ipv4(head, &v4);
    else if (inet_pton(AF_INET6, text, head->address) != 1)
        memset(head->address, 0, sizeof head->address);
    return 0;
}

static PyObject *ring_add(Ring *self, PyObject *args)
{
    const char *query, *reply;
    Py_ssize_t query_size, reply_size;
    PyObject *client;
    int source, tcp;
    double now, took;
    size_t asked, told;
    Head told_of, *head;

    if (!PyArg_ParseTuple(args, "y#y#Oiddp", &query, &query_size, &reply, &reply_size, &client,
                          &source, &now, &took, &tcp))
        return NULL;
    if (put_client(&told_of, client) < 0)
        return NULL;
    asked = kept((size_t)query_size);
    told = kept((size_t)reply_size);
    told_of.time = now > 0 ? (uint64_t)(now * 1e6) : 0;
    took *= 1e6;
    told_of.took = took < 0 ? NOT_TAKEN : took < 4e9 ? (uint32_t)took : 4000000000u;
    told_of.query = (uint16_t)asked;
    told_of.whole_query = bounded((size_t)query_size);
    told_of.reply = (uint16_t)told;
    told_of.whole_reply = bounded((size_t)reply_size);
    told_of.kind = (uint8_t)((source & 15) | (tcp ? TCP : 0));
    told_of.spare = 0;
    told_of.weight = 1;
    head = begin(self, room(asked, told));
    told_of.size = head->size;
    *head = told_of;
    memcpy(head + 1, query, asked);
    memcpy((char *)(head + 1) + asked, reply, told);
    Py_RETURN_NONE;
}

static PyObject *ring_read(Ring *self, PyObject *args)
{
    unsigned long long number, end, i;
    Py_ssize_t most, size = 0;
    PyObject *octets;
    char *at;

    if (!PyArg_ParseTuple(args, "Kn", &number, &most))
        return NULL;
    if (number < self->first)
        number = self->first;
    if (number > self->next)
        number = self->next;
    end = self->next;
    if (most < 0)
        most = 0;
    if (end - number > (unsigned long long)most)
        end = number + (unsigned long long)most;
#define RECORD(n) \
    (self->arena + self->starts[(n) % (unsigned long long)self->slots] % (uint64_t)self->octets)
    for (i = number; i < end; i++)
        size += ((Head *)RECORD(i))->size;
    octets = PyBytes_FromStringAndSize(NULL, size);
    if (!octets)
        return NULL;
    at = PyBytes_AS_STRING(octets);
    for (i = number; i < end; i++) {
        memcpy(at, RECORD(i), ((Head *)RECORD(i))->size);
        at += ((Head *)RECORD(i))->size;
    }
#undef RECORD
    return Py_BuildValue("KN", number, octets);
}

static PyObject *ring_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"slots", "octets", NULL};
    Py_ssize_t slots, octets;
    Ring *self;

    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "nn", names, &slots, &octets))
        return NULL;
    if (slots < 1 || octets < LEAST || octets % 8) {
        PyErr_SetString(PyExc_ValueError, "a ring needs places, and 4096 octets or more, by eight");
        return NULL;
    }
    self = (Ring *)type->tp_alloc(type, 0);
    if (!self)
        return NULL;
    self->slots = slots;
    self->octets = octets;
    self->every = 1;
    self->arena = PyMem_RawCalloc((size_t)octets, 1);
    self->starts = PyMem_RawCalloc((size_t)slots, sizeof *self->starts);
    if (!self->arena || !self->starts) {
        Py_DECREF(self);
        return PyErr_NoMemory();
    }
    return (PyObject *)self;
}

static void ring_dealloc(Ring *self)
{
    PyMem_RawFree(self->arena);
    PyMem_RawFree(self->starts);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static PyMethodDef ring_methods[] = {
    {"add", (PyCFunction)ring_add, METH_VARARGS, "Note a transaction."},
    {"read", (PyCFunction)ring_read, METH_VARARGS,
     "Return the number of a record and its octets, with those of records behind it."},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef ring_members[] = {
    {"next", T_ULONGLONG, offsetof(Ring, next), READONLY, NULL},
    {"first", T_ULONGLONG, offsetof(Ring, first), READONLY, NULL},
    {"slots", T_PYSSIZET, offsetof(Ring, slots), READONLY, NULL},
    {"octets", T_PYSSIZET, offsetof(Ring, octets), READONLY, NULL},
    {"every", T_UINT, offsetof(Ring, every), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};

PyTypeObject RingType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "kubedns._batch.Ring",
    .tp_basicsize = sizeof(Ring),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_methods = ring_methods,
    .tp_members = ring_members,
    .tp_new = ring_new,
    .tp_dealloc = (destructor)ring_dealloc,
};
