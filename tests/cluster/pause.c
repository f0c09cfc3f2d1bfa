/* The first process of a pod: holds its namespaces, reaps what dies in them, ends when told. */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static void quit(int number) {
  (void)number;
  _exit(0);
}

static void reap(int number) {
  (void)number;
  while (waitpid(-1, 0, WNOHANG) > 0) {
  }
}

int main(void) {
  signal(SIGINT, quit);
  signal(SIGTERM, quit);
  signal(SIGCHLD, reap);
  for (;;) pause();
}
