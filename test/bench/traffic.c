// Load for the benchmark: a server and its clients, in C so that they cost next to nothing beside what is measured. Linux.
// A connection begins with a header, which names one of three services:
//   F  the server sends `length` bytes and ends
//   T  the server reads to the end, reports what it got, sends `length` bytes and ends
//   E  the server sends back what it gets, until that ends
// All bytes are of one pattern, from another place on for each connection. A client prints one line of JSON.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { period = 61441, periods = 64, patternSize = period * periods, chunk = 256 * 1024 };

/** What `every` says: all that arrives is compared, or one chunk of so many, since comparing takes time of the machine. */
struct header {
  char service;
  unsigned char every;
  uint16_t unused;
  uint32_t phase;
  uint64_t length;
};

struct report {
  uint64_t bytes, wrong;
};

struct flow {
  uint64_t position, wrong;
  uint32_t phase;
  unsigned every, turn;
};

/** What came of a client's connections. */
struct sum {
  uint64_t bytes, wrong, lost, extra, cut;
};

/** After so long without a byte a connection counts as cut; TRAFFIC_SILENCE_MS says otherwise. */
static int silenceMs = 60000;
static int patternFile;
static unsigned char *pattern;
static unsigned char buffer[chunk];

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}

static void fail(const char *what) {
  perror(what);
  exit(2);
}

static void *zeroed(size_t count, size_t size) {
  void *made = calloc(count, size);
  if (!made) fail("calloc");
  return made;
}

static void makePattern(void) {
  patternFile = memfd_create("pattern", 0);
  if (patternFile < 0 || ftruncate(patternFile, patternSize)) fail("memfd");
  pattern = mmap(0, patternSize, PROT_READ | PROT_WRITE, MAP_SHARED, patternFile, 0);
  if (pattern == MAP_FAILED) fail("mmap");
  uint32_t state = 2463534242;
  for (int i = 0; i < period; i++) {
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    pattern[i] = state >> 11;
  }
  for (int i = 1; i < periods; i++) memcpy(pattern + i * period, pattern, period);
}

static int isBusy(ssize_t n) { return n < 0 && (errno == EAGAIN || errno == EINTR); }

/** Receives what is there: recv's result, of which `flow` keeps count. */
static ssize_t take(int fd, struct flow *flow) {
  if (!flow->every || flow->turn++ % flow->every) {
    ssize_t n = recv(fd, NULL, 4 * chunk, MSG_TRUNC);
    if (n > 0) flow->position += n;
    return n;
  }
  ssize_t n = recv(fd, buffer, chunk, 0);
  if (n <= 0) return n;
  const unsigned char *expected = pattern + (flow->phase + flow->position) % period;
  if (memcmp(buffer, expected, n))
    for (ssize_t i = 0; i < n; i++) flow->wrong += buffer[i] != expected[i];
  flow->position += n;
  return n;
}

static ssize_t give(int fd, uint32_t phase, uint64_t *sent, uint64_t length) {
  off_t offset = (phase + *sent) % period;
  uint64_t left = length - *sent;
  ssize_t n = sendfile(fd, patternFile, &offset, left < 4 * chunk ? left : 4 * chunk);
  if (n > 0) *sent += n;
  return n;
}

static struct sockaddr_in addressOf(const char *host, int port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
  if (inet_pton(AF_INET, host, &address.sin_addr) != 1) fail(host);
  return address;
}

static void undelayed(int fd) {
  int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

/** -1 where nobody listens. */
static int dial(const char *host, int port, int flags) {
  struct sockaddr_in address = addressOf(host, port);
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
  if (fd < 0) fail("socket");
  undelayed(fd);
  struct timeval limit = {silenceMs / 1000, silenceMs % 1000 * 1000};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  if (connect(fd, (void *)&address, sizeof address) && errno != EINPROGRESS) {
    close(fd);
    return -1;
  }
  return fd;
}

static void blocking(int fd, int on) {
  int flags = fcntl(fd, F_GETFL);
  fcntl(fd, F_SETFL, on ? flags & ~O_NONBLOCK : flags | O_NONBLOCK);
}

static void watch(int poll, int how, int fd, uint32_t events, void *of) {
  struct epoll_event event = {.events = events, .data.ptr = of};
  if (epoll_ctl(poll, how, fd, &event)) fail("epoll_ctl");
}

// --- the server

struct served {
  int fd, isHeard, isEnded;
  uint32_t events;
  size_t headerGot, reportSent, echoed, toEcho;
  struct header header;
  struct report report;
  struct flow in;
  uint64_t sent;
  unsigned char echo[16384];
};

/** Goes on as far as it can: the events to wait for, or 0 when the connection is over. */
static uint32_t serveOne(struct served *c) {
  for (int turn = 0; turn < 16; turn++) {
    ssize_t n;
    if (c->headerGot < sizeof c->header) {
      n = recv(c->fd, (char *)&c->header + c->headerGot, sizeof c->header - c->headerGot, 0);
      if (n <= 0) return isBusy(n) ? EPOLLIN : 0;
      c->headerGot += n;
      c->in = (struct flow){.phase = c->header.phase, .every = c->header.every};
      continue;
    }
    if (c->header.service == 'E') {
      if (c->echoed < c->toEcho) {
        n = send(c->fd, c->echo + c->echoed, c->toEcho - c->echoed, MSG_NOSIGNAL);
        if (n < 0) return isBusy(n) ? EPOLLOUT : 0;
        c->echoed += n;
        continue;
      }
      n = recv(c->fd, c->echo, sizeof c->echo, 0);
      if (n <= 0) return isBusy(n) ? EPOLLIN : 0;
      c->echoed = 0;
      c->toEcho = n;
      continue;
    }
    if (c->header.service == 'T' && !c->isHeard) {
      n = take(c->fd, &c->in);
      if (n < 0) return isBusy(n) ? EPOLLIN : 0;
      if (n == 0) {
        c->isHeard = 1;
        c->report = (struct report){c->in.position, c->in.wrong};
      }
      continue;
    }
    if (c->header.service == 'T' && c->reportSent < sizeof c->report) {
      n = send(c->fd, (char *)&c->report + c->reportSent, sizeof c->report - c->reportSent, MSG_NOSIGNAL);
      if (n < 0) return isBusy(n) ? EPOLLOUT : 0;
      c->reportSent += n;
      continue;
    }
    if (c->sent < c->header.length) {
      n = give(c->fd, c->header.phase, &c->sent, c->header.length);
      if (n < 0) return isBusy(n) ? EPOLLOUT : 0;
      continue;
    }
    if (!c->isEnded) {
      shutdown(c->fd, SHUT_WR);
      c->isEnded = 1;
    }
    if (c->isHeard) return 0;
    n = recv(c->fd, buffer, chunk, 0);
    if (n <= 0) return isBusy(n) ? EPOLLIN : 0;
  }
  return EPOLLIN | EPOLLOUT;
}

static int listenOn(const char *host, int *port) {
  struct sockaddr_in address = addressOf(host, 0);
  socklen_t size = sizeof address;
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0 || bind(fd, (void *)&address, size) || listen(fd, 4096)) fail("listen");
  getsockname(fd, (void *)&address, &size);
  *port = ntohs(address.sin_port);
  return fd;
}

_Noreturn static void serve(const char *host) {
  int port, listener = listenOn(host, &port), poll = epoll_create1(EPOLL_CLOEXEC);
  watch(poll, EPOLL_CTL_ADD, listener, EPOLLIN, NULL);
  printf("%d\n", port);
  fflush(stdout);
  struct epoll_event events[128];
  for (;;) {
    int ready = epoll_wait(poll, events, 128, -1);
    for (int i = 0; i < ready; i++) {
      struct served *c = events[i].data.ptr;
      if (!c) {
        for (int fd; (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;) {
          undelayed(fd);
          c = zeroed(1, sizeof *c);
          c->fd = fd;
          c->events = EPOLLIN;
          watch(poll, EPOLL_CTL_ADD, fd, EPOLLIN, c);
        }
        continue;
      }
      uint32_t next = serveOne(c);
      if (!next) {
        close(c->fd);
        free(c);
      } else if (next != c->events) {
        watch(poll, EPOLL_CTL_MOD, c->fd, c->events = next, c);
      }
    }
  }
}

// --- clients

static int tell(const struct sum *sum, const char *format, double a, double b, double c) {
  printf("{\"bytes\":%llu,\"wrong\":%llu,\"lost\":%llu,\"extra\":%llu,\"cut\":%llu", (unsigned long long)sum->bytes,
         (unsigned long long)sum->wrong, (unsigned long long)sum->lost, (unsigned long long)sum->extra,
         (unsigned long long)sum->cut);
  printf(format, a, b, c);
  printf("}\n");
  fflush(stdout);
  return 0;
}

static void count(struct sum *sum, uint64_t got, uint64_t expected, uint64_t wrong) {
  sum->bytes += got;
  sum->wrong += wrong;
  if (got < expected) sum->lost += expected - got;
  if (got > expected) sum->extra += got - expected;
}

static int sendAll(int fd, const void *bytes, size_t size) {
  return send(fd, bytes, size, MSG_NOSIGNAL) == (ssize_t)size ? 0 : -1;
}

/** How much came of it before the end, an error or a long silence. */
static size_t receive(int fd, void *bytes, size_t size) {
  size_t got = 0;
  while (got < size) {
    ssize_t n = recv(fd, (char *)bytes + got, size - got, 0);
    if (n <= 0) break;
    got += n;
  }
  return got;
}

static uint32_t phaseOf(int connection) { return (connection * 4099u + 17u) % period; }

struct stream {
  int fd, isOver, isCut;
  struct header header;
  struct flow in;
  uint64_t sent;
  size_t reportGot;
  struct report report;
};

/** One direction of one stream, as far as it goes now. */
static void move(int poll, struct stream *s, int isUpload, uint64_t length) {
  for (int turn = 0; turn < 8; turn++) {
    ssize_t n;
    if (isUpload && s->sent < length) {
      n = give(s->fd, s->header.phase, &s->sent, length);
      if (n > 0 && s->sent == length) {
        shutdown(s->fd, SHUT_WR);
        watch(poll, EPOLL_CTL_MOD, s->fd, EPOLLIN, s);
      }
    } else if (isUpload && s->reportGot < sizeof s->report) {
      n = recv(s->fd, (char *)&s->report + s->reportGot, sizeof s->report - s->reportGot, 0);
      if (n > 0) s->reportGot += n;
    } else {
      n = take(s->fd, &s->in);
    }
    if (isBusy(n)) return;
    if (n <= 0) {
      s->isOver = 1;
      s->isCut = n < 0;
      return;
    }
  }
}

static int bulk(const char *host, int port, int isUpload, uint64_t length, int streams, int every) {
  struct stream *all = zeroed(streams, sizeof *all);
  struct sum sum = {0};
  int poll = epoll_create1(EPOLL_CLOEXEC), left = streams;
  double started = now();
  for (int i = 0; i < streams; i++) {
    struct stream *s = &all[i];
    s->header = (struct header){isUpload ? 'T' : 'F', every, 0, phaseOf(i), isUpload ? 0 : length};
    s->in = (struct flow){.phase = s->header.phase, .every = every};
    s->fd = dial(host, port, 0);
    if (s->fd < 0 || sendAll(s->fd, &s->header, sizeof s->header)) {
      s->isOver = s->isCut = 1;
      left--;
      continue;
    }
    blocking(s->fd, 0);
    watch(poll, EPOLL_CTL_ADD, s->fd, isUpload ? EPOLLOUT : EPOLLIN, s);
  }
  struct epoll_event events[64];
  while (left > 0) {
    int ready = epoll_wait(poll, events, 64, silenceMs);
    if (ready <= 0) break;
    for (int i = 0; i < ready; i++) {
      struct stream *s = events[i].data.ptr;
      move(poll, s, isUpload, length);
      if (!s->isOver) continue;
      close(s->fd);
      left--;
    }
  }
  double seconds = now() - started;
  for (int i = 0; i < streams; i++) {
    struct stream *s = &all[i];
    sum.cut += s->isCut || !s->isOver;
    if (!isUpload) count(&sum, s->in.position, length, s->in.wrong);
    else count(&sum, s->report.bytes, length, s->report.wrong);
    // Behind the report nothing follows.
    if (isUpload) sum.extra += s->in.position;
  }
  return tell(&sum, ",\"seconds\":%.6f", seconds, 0, 0);
}

static int ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return x < y ? -1 : x > y;
}

static int echo(const char *host, int port, int size, int times, int pauseUs) {
  enum { warmUp = 50 };
  struct sum sum = {0};
  struct header header = {.service = 'E'};
  double *took = zeroed(times, sizeof *took);
  int done = 0, fd = dial(host, port, 0);
  if (fd < 0 || sendAll(fd, &header, sizeof header)) sum.cut = 1;
  for (int i = -warmUp; i < times && !sum.cut; i++) {
    const unsigned char *sent = pattern + (i + warmUp) % period;
    double started = now();
    size_t got = sendAll(fd, sent, size) ? 0 : receive(fd, buffer, size);
    if (i >= 0) took[done++] = (now() - started) * 1e6;
    uint64_t wrong = 0;
    for (size_t k = 0; k < got; k++) wrong += buffer[k] != sent[k];
    count(&sum, got, size, wrong);
    if (got < (size_t)size) sum.cut = 1;
    if (pauseUs) usleep(pauseUs);
  }
  if (!sum.cut) {
    shutdown(fd, SHUT_WR);
    sum.extra += receive(fd, buffer, chunk);
  }
  qsort(took, done, sizeof *took, ascending);
  return tell(&sum, ",\"p50\":%.2f,\"p99\":%.2f,\"max\":%.2f", done ? took[done / 2] : 0, done ? took[done * 99 / 100] : 0,
              done ? took[done - 1] : 0);
}

struct visit {
  int fd, isAsked;
  unsigned char byte;
};

static int visitAgain(int poll, struct visit *v, const char *host, int port, unsigned char byte) {
  v->isAsked = 0;
  v->byte = byte;
  v->fd = dial(host, port, SOCK_NONBLOCK);
  if (v->fd < 0) return -1;
  watch(poll, EPOLL_CTL_ADD, v->fd, EPOLLOUT, v);
  return 0;
}

/** Connections that each get one byte back, so many at once. */
static int visits(const char *host, int port, int atOnce, int times) {
  struct sum sum = {0};
  struct visit *all = zeroed(atOnce, sizeof *all);
  int poll = epoll_create1(EPOLL_CLOEXEC), begun = 0, over = 0;
  double started = now();
  for (int i = 0; i < atOnce && begun < times; i++)
    if (visitAgain(poll, &all[i], host, port, pattern[begun++ % period])) over++, sum.cut++, sum.lost++;
  struct epoll_event events[64];
  while (over < times) {
    int ready = epoll_wait(poll, events, 64, silenceMs);
    if (ready <= 0) break;
    for (int i = 0; i < ready; i++) {
      struct visit *v = events[i].data.ptr;
      int isOver = 0;
      if (!v->isAsked) {
        unsigned char bytes[sizeof(struct header) + 1] = {'E'};
        bytes[sizeof(struct header)] = v->byte;
        v->isAsked = 1;
        if (sendAll(v->fd, bytes, sizeof bytes)) isOver = 1, sum.cut++, sum.lost++;
        else watch(poll, EPOLL_CTL_MOD, v->fd, EPOLLIN, v);
      } else {
        unsigned char got[16];
        ssize_t n = recv(v->fd, got, sizeof got, 0);
        if (isBusy(n)) continue;
        isOver = 1;
        if (n < 0) sum.cut++;
        count(&sum, n < 0 ? 0 : n, 1, n > 0 && got[0] != v->byte);
      }
      if (!isOver) continue;
      close(v->fd);
      over++;
      while (begun < times && visitAgain(poll, v, host, port, pattern[begun++ % period])) over++, sum.cut++, sum.lost++;
    }
  }
  sum.cut += times - over;
  sum.lost += times - over;
  return tell(&sum, ",\"perSecond\":%.3f", sum.bytes / (now() - started), 0, 0);
}

static void untilTold(void) {
  char byte;
  while (read(0, &byte, 1) < 0 && errno == EINTR);
}

/** Holds so many connections open until a byte or the end of standard input; each has an echo before and after. */
static int idle(const char *host, int port, int connections) {
  struct sum sum = {0};
  int *all = zeroed(connections, sizeof *all);
  unsigned char first[sizeof(struct header) + 1] = {'E'}, got;
  for (int i = 0; i < connections; i++) {
    first[sizeof(struct header)] = pattern[i];
    all[i] = dial(host, port, 0);
    if (all[i] >= 0 && sendAll(all[i], first, sizeof first)) all[i] = -1;
  }
  for (int round = 0; round < 2; round++) {
    for (int i = 0; round == 1 && i < connections; i++)
      if (all[i] >= 0) sendAll(all[i], pattern + i, 1);
    for (int i = 0; i < connections; i++) {
      size_t n = all[i] < 0 ? 0 : receive(all[i], &got, 1);
      count(&sum, n, 1, n == 1 && got != pattern[i]);
      sum.cut += n == 0;
    }
    if (round == 0) {
      printf("ready\n");
      fflush(stdout);
      untilTold();
    }
  }
  return tell(&sum, "", 0, 0, 0);
}

/** Asks for so much, and reads none of it until a byte or the end of standard input. */
static int stall(const char *host, int port, uint64_t length) {
  struct sum sum = {0};
  struct header header = {'F', 1, 0, phaseOf(5), length};
  struct flow in = {.phase = header.phase, .every = 1};
  int fd = dial(host, port, 0);
  if (fd < 0 || sendAll(fd, &header, sizeof header)) sum.cut = 1;
  printf("ready\n");
  fflush(stdout);
  untilTold();
  ssize_t n = 0;
  while (!sum.cut && (n = take(fd, &in)) > 0);
  sum.cut += n < 0;
  count(&sum, in.position, length, in.wrong);
  return tell(&sum, "", 0, 0, 0);
}

/** Sends so much and ends that half; what comes back after it must be whole. */
static int half(const char *host, int port, uint64_t up, uint64_t down) {
  struct sum sum = {0};
  struct header header = {'T', 1, 0, phaseOf(9), down};
  struct flow in = {.phase = header.phase, .every = 1};
  struct report report = {0};
  uint64_t sent = 0;
  ssize_t n = 1;
  int fd = dial(host, port, 0);
  if (fd < 0 || sendAll(fd, &header, sizeof header)) sum.cut = 1;
  while (!sum.cut && sent < up && give(fd, header.phase, &sent, up) > 0);
  if (!sum.cut) {
    shutdown(fd, SHUT_WR);
    receive(fd, &report, sizeof report);
    while ((n = take(fd, &in)) > 0);
    sum.cut = n < 0;
  }
  count(&sum, report.bytes, up, report.wrong);
  count(&sum, in.position, down, in.wrong);
  return tell(&sum, "", 0, 0, 0);
}

/** Knocks until a byte comes back: `at` is when, on the clock that never jumps. */
static int first(const char *host, int port, int limitMs) {
  struct sum sum = {0};
  unsigned char bytes[sizeof(struct header) + 1] = {'E'}, got = 0;
  bytes[sizeof(struct header)] = 'x';
  double until = now() + limitMs / 1e3;
  while (now() < until) {
    int fd = dial(host, port, 0);
    if (fd >= 0) {
      size_t n = sendAll(fd, bytes, sizeof bytes) ? 0 : receive(fd, &got, 1);
      close(fd);
      if (n == 1) {
        count(&sum, 1, 1, got != 'x');
        return tell(&sum, ",\"at\":%.6f", now(), 0, 0);
      }
    }
    usleep(500);
  }
  sum.cut = sum.lost = 1;
  return tell(&sum, "", 0, 0, 0);
}

int main(int argc, char **argv) {
  signal(SIGPIPE, SIG_IGN);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  makePattern();
  const char *silence = getenv("TRAFFIC_SILENCE_MS");
  if (silence) silenceMs = atoi(silence);
  const char *mode = argc > 2 ? argv[1] : "", *host = argv[2];
  if (!strcmp(mode, "serve")) serve(host);
  uint64_t given[6] = {0};
  for (int i = 3; i < argc && i < 9; i++) given[i - 3] = strtoull(argv[i], NULL, 10);
  int port = given[0];
  if (!strcmp(mode, "from")) return bulk(host, port, 0, given[1], given[2], given[3]);
  if (!strcmp(mode, "to")) return bulk(host, port, 1, given[1], given[2], given[3]);
  if (!strcmp(mode, "echo")) return echo(host, port, given[1], given[2], given[3]);
  if (!strcmp(mode, "visits")) return visits(host, port, given[1], given[2]);
  if (!strcmp(mode, "idle")) return idle(host, port, given[1]);
  if (!strcmp(mode, "stall")) return stall(host, port, given[1]);
  if (!strcmp(mode, "half")) return half(host, port, given[1], given[2]);
  if (!strcmp(mode, "first")) return first(host, port, given[1]);
  fprintf(stderr, "traffic: no such use\n");
  return 2;
}
