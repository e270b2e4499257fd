/* SPDX-License-Identifier: GPL-3.0-or-later
 * For LD_PRELOAD: counts what an armed thread must not do. glibc's own entry points are called
 * below, so that nothing here needs what it watches. Functions are watched by name; and where the
 * kernel can (Linux 5.11, x86-64) so is every system call, wherever it comes from: it arrives here
 * as a signal first. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

extern void* __libc_malloc(size_t);
extern void* __libc_calloc(size_t, size_t);
extern void* __libc_realloc(void*, size_t);
extern void* __libc_memalign(size_t, size_t);
extern void __libc_free(void*);

enum { most = 32 };
static __thread int armed __attribute__((tls_model("initial-exec")));
static __thread int counts[most] __attribute__((tls_model("initial-exec")));
static __thread const char* names[most] __attribute__((tls_model("initial-exec")));

static void note(const char* name) {
    if (!armed)
        return;
    for (int i = 0; i < most; ++i) {
        if (names[i] == 0)
            names[i] = name;
        if (names[i] == name) {
            ++counts[i];
            return;
        }
    }
}

#if defined(__x86_64__) && defined(PR_SET_SYSCALL_USER_DISPATCH)
static __thread volatile char blocked __attribute__((tls_model("initial-exec")));
static __thread int asked __attribute__((tls_model("initial-exec")));
static volatile int watched;

/* One is counted; then the thread may call the system until it is armed again, and the call that
 * was stopped is made, from its instruction of two bytes. */
static void onSystemCall(int signal, siginfo_t* info, void* context) {
    (void)signal;
    (void)info;
    blocked = SYSCALL_DISPATCH_FILTER_ALLOW;
    note("system_call");
    ((ucontext_t*)context)->uc_mcontext.gregs[REG_RIP] -= 2;
}

static void watchSystemCalls(int on) {
    if (!asked) {
        asked = 1;
        struct sigaction action;
        memset(&action, 0, sizeof action);
        action.sa_sigaction = onSystemCall;
        action.sa_flags = SA_SIGINFO;
        sigaction(SIGSYS, &action, 0);
        if (prctl(PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_ON, 0, 0, &blocked) == 0)
            watched = 1;
    }
    blocked = on ? SYSCALL_DISPATCH_FILTER_BLOCK : SYSCALL_DISPATCH_FILTER_ALLOW;
}
#else
static int watched;
static void watchSystemCalls(int on) {
    (void)on;
}
#endif

/* Whether system calls are watched, not only functions. */
__attribute__((visibility("default"))) int lars_interpose_watched(void) {
    return watched;
}

__attribute__((visibility("default"))) void lars_interpose_arm(int on) {
    if (!on)
        armed = 0;
    watchSystemCalls(on);
    armed = on;
}

/* The calls of one function by this thread while it was armed; "" for all. */
__attribute__((visibility("default"))) int lars_interpose_calls(const char* name) {
    int sum = 0;
    for (int i = 0; i < most && names[i] != 0; ++i)
        if (name[0] == 0 || strcmp(names[i], name) == 0)
            sum += counts[i];
    return sum;
}

__attribute__((visibility("default"))) const char* lars_interpose_name(int i) {
    return i < most ? names[i] : 0;
}

void* malloc(size_t size) {
    note("malloc");
    return __libc_malloc(size);
}
void* calloc(size_t count, size_t size) {
    note("calloc");
    return __libc_calloc(count, size);
}
void* realloc(void* old, size_t size) {
    note("realloc");
    return __libc_realloc(old, size);
}
void free(void* old) {
    if (old != 0)
        note("free");
    __libc_free(old);
}
void* memalign(size_t alignment, size_t size) {
    note("memalign");
    return __libc_memalign(alignment, size);
}
void* aligned_alloc(size_t alignment, size_t size) {
    note("aligned_alloc");
    return __libc_memalign(alignment, size);
}
int posix_memalign(void** out, size_t alignment, size_t size) {
    note("posix_memalign");
    *out = __libc_memalign(alignment, size);
    return *out ? 0 : ENOMEM;
}

#define NEXT(name)                                                                                 \
    static __typeof__(&name) next;                                                                 \
    note(#name);                                                                                   \
    if (!next)                                                                                     \
    next = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

int pthread_mutex_lock(pthread_mutex_t* mutex) {
    NEXT(pthread_mutex_lock);
    return next(mutex);
}
int pthread_mutex_trylock(pthread_mutex_t* mutex) {
    NEXT(pthread_mutex_trylock);
    return next(mutex);
}
int pthread_cond_wait(pthread_cond_t* condition, pthread_mutex_t* mutex) {
    NEXT(pthread_cond_wait);
    return next(condition, mutex);
}
int pthread_cond_timedwait(pthread_cond_t* condition, pthread_mutex_t* mutex,
                           const struct timespec* until) {
    NEXT(pthread_cond_timedwait);
    return next(condition, mutex, until);
}
int pthread_cond_clockwait(pthread_cond_t* condition, pthread_mutex_t* mutex, clockid_t clock,
                           const struct timespec* until) {
    NEXT(pthread_cond_clockwait);
    return next(condition, mutex, clock, until);
}
int pthread_rwlock_rdlock(pthread_rwlock_t* lock) {
    NEXT(pthread_rwlock_rdlock);
    return next(lock);
}
int pthread_rwlock_wrlock(pthread_rwlock_t* lock) {
    NEXT(pthread_rwlock_wrlock);
    return next(lock);
}
int pthread_cond_signal(pthread_cond_t* condition) {
    NEXT(pthread_cond_signal);
    return next(condition);
}
int pthread_cond_broadcast(pthread_cond_t* condition) {
    NEXT(pthread_cond_broadcast);
    return next(condition);
}
ssize_t read(int file, void* data, size_t size) {
    NEXT(read);
    return next(file, data, size);
}
ssize_t write(int file, const void* data, size_t size) {
    NEXT(write);
    return next(file, data, size);
}
ssize_t send(int file, const void* data, size_t size, int flags) {
    NEXT(send);
    return next(file, data, size, flags);
}
ssize_t recv(int file, void* data, size_t size, int flags) {
    NEXT(recv);
    return next(file, data, size, flags);
}
int poll(struct pollfd* entries, nfds_t count, int timeout) {
    NEXT(poll);
    return next(entries, count, timeout);
}
int nanosleep(const struct timespec* wanted, struct timespec* left) {
    NEXT(nanosleep);
    return next(wanted, left);
}
int clock_nanosleep(clockid_t clock, int flags, const struct timespec* wanted,
                    struct timespec* left) {
    NEXT(clock_nanosleep);
    return next(clock, flags, wanted, left);
}
/* futex, and whatever else has no function of its own */
long syscall(long number, ...) {
    NEXT(syscall);
    va_list list;
    va_start(list, number);
    long values[6];
    for (int i = 0; i < 6; ++i)
        values[i] = va_arg(list, long);
    va_end(list);
    return next(number, values[0], values[1], values[2], values[3], values[4], values[5]);
}
