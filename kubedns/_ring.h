/* What was answered last, in a fixed piece of memory; see plainring.py for the same in Python. */
#ifndef KUBEDNS_RING_H
#define KUBEDNS_RING_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <sys/socket.h>

extern PyTypeObject RingType;

/*
 * Note a reply that a batch gives: the query's ID and a turn. With the interpreter's lock.
 *
 * ring: a Ring. now: monotonic seconds.
 */
void ring_hit(PyObject *ring, double now, const unsigned char *query, size_t query_size,
              const char *turn, size_t turn_size, const struct sockaddr *client, size_t client_size);

#endif
