/* Both ends of both disciplines of a ring, in C11, from engine/wire/PROTOCOL.md alone.
 *
 * A conformance peer and the physical limit the benches stand beside; not a product. Every function
 * that can fail returns NULL when it did not, else a sentence saying why.
 */
#pragma once
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/futex.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "wire.h" /* halftick wire export --format c */

enum { BROADCAST = 1, QUEUE = 2 };
enum { WRITER, READER };

enum {
    RECORD_WORDS = HALFTICK_RECORD_BYTES / 8,
    HEAD = 16,
    TAIL = 32,
    WRITER_PID = 48,
    READER_PID = 64,
    WAITING = 66,
    SLOTS = 80,
};

typedef struct {
    int64_t *words;
    int64_t *slots;
    int64_t *stamps;
    size_t bytes;
    int descriptor;
    int pid_word; /* 0: a broadcast reader leaves no trace */
    int64_t capacity;
    int64_t position;
    int64_t seen; /* queue: what was last read of the other side */
    int64_t lost;
    bool is_damaged; /* queue: the next record is not what its writer wrote */
} ring;

static inline const char *ring_check(const ring *r, int discipline, int64_t run_id) {
    static const char magic[8] = "HTRING01";
    const int64_t *w = r->words;
    if (r->bytes < SLOTS * 8 || memcmp(w, magic, 8)) return "not a ring";
    if (w[1] != 2) return "another version";
    if (w[2] != discipline) return "another discipline";
    if (w[3] < 2 || w[3] > 1 << 24 || (w[3] & (w[3] - 1))) return "impossible capacity";
    if (w[4] != HALFTICK_RECORD_BYTES) return "another record size";
    if (w[5] != run_id) return "another run";
    if (w[6] != HALFTICK_LAYOUT_HASH) return "another layout";
    int64_t words = SLOTS + w[3] * (RECORD_WORDS + 1);
    return r->bytes == (size_t)words * 8 ? NULL : "truncated or too long";
}

static inline const char *ring_attach(ring *r, const char *path, int discipline, int role,
                                      int64_t run_id) {
    bool is_silent = discipline == BROADCAST && role == READER;
    struct stat status;
    r->descriptor = open(path, (is_silent ? O_RDONLY : O_RDWR) | O_NOFOLLOW | O_CLOEXEC);
    if (r->descriptor < 0 || fstat(r->descriptor, &status)) return "cannot be opened";
    r->bytes = (size_t)status.st_size;
    int access = is_silent ? PROT_READ : PROT_READ | PROT_WRITE;
    r->words = mmap(NULL, r->bytes, access, MAP_SHARED, r->descriptor, 0);
    if (r->words == MAP_FAILED) return "cannot be mapped";
    const char *error = ring_check(r, discipline, run_id);
    if (error) return error;
    r->pid_word = is_silent ? 0 : role == WRITER ? WRITER_PID : READER_PID;
    if (r->pid_word) {
        struct flock claim = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = role, .l_len = 1};
        if (fcntl(r->descriptor, F_OFD_SETLK, &claim)) return "another one is attached";
        r->words[r->pid_word] = getpid();
        r->words[r->pid_word + 1] += 1;
    }
    r->capacity = r->words[3];
    r->slots = r->words + SLOTS;
    r->stamps = r->slots + r->capacity * RECORD_WORDS;
    r->position = discipline == QUEUE && role == READER ? r->words[TAIL] : r->words[HEAD];
    r->seen = r->words[TAIL];
    r->lost = 0;
    r->is_damaged = false;
    return NULL;
}

static inline void ring_close(ring *r) {
    if (r->pid_word) r->words[r->pid_word] = 0;
    munmap(r->words, r->bytes);
    close(r->descriptor); /* releases the claim */
}

static inline int64_t *ring_slot(const ring *r, int64_t position) {
    return r->slots + (position & (r->capacity - 1)) * RECORD_WORDS;
}

/* Full fence: without it head could become visible only after we looked, and a reader that has just
 * gone to sleep would be missed. */
static inline void ring_wake(ring *r, bool is_anyone_asleep) {
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (is_anyone_asleep || __atomic_load_n(r->words + WAITING, __ATOMIC_RELAXED))
        syscall(SYS_futex, r->words + HEAD, FUTEX_WAKE, INT32_MAX, NULL, NULL, 0);
}

/* Before head moves, never after: it could be the word of a reader that lies down again. */
static inline bool ring_take_back_waiting(ring *r) {
    if (!__atomic_load_n(r->words + WAITING, __ATOMIC_RELAXED)) return false;
    __atomic_store_n(r->words + WAITING, 0, __ATOMIC_RELAXED); /* the release of head orders it */
    return true;
}

static inline void ring_set_head(ring *r) {
    __atomic_store_n(r->words + HEAD, r->position, __ATOMIC_RELEASE);
}

static inline void ring_begin_slot(ring *r) {
    __atomic_store_n(r->stamps + (r->position & (r->capacity - 1)), 0, __ATOMIC_RELEASE);
    __atomic_thread_fence(__ATOMIC_RELEASE); /* StoreStore: no new word under the old stamp */
}

static inline void ring_publish(ring *r, const void *records, int64_t count) {
    const char *source = records;
    bool is_anyone_asleep = ring_take_back_waiting(r);
    for (int64_t i = 0; i < count; i++, source += HALFTICK_RECORD_BYTES) {
        ring_begin_slot(r);
        memcpy(ring_slot(r, r->position), source, HALFTICK_RECORD_BYTES);
        int64_t *stamp = r->stamps + (r->position & (r->capacity - 1));
        __atomic_store_n(stamp, ++r->position, __ATOMIC_RELEASE);
        if ((i + 1) % (r->capacity / 2) == 0) ring_set_head(r);
    }
    ring_set_head(r);
    ring_wake(r, is_anyone_asleep);
}

static inline bool ring_copy(ring *r, void *target) {
    int64_t *stamp = r->stamps + (r->position & (r->capacity - 1));
    if (__atomic_load_n(stamp, __ATOMIC_ACQUIRE) != r->position + 1) return false;
    memcpy(target, ring_slot(r, r->position), HALFTICK_RECORD_BYTES);
    __atomic_thread_fence(__ATOMIC_ACQUIRE); /* LoadLoad: the copy is done before the second look */
    return __atomic_load_n(stamp, __ATOMIC_ACQUIRE) == r->position + 1;
}

/* One record; false = nothing new, or lapped (then `lost` has grown). */
static inline bool ring_follow(ring *r, void *target) {
    if (r->position >= __atomic_load_n(r->words + HEAD, __ATOMIC_ACQUIRE)) return false;
    if (ring_copy(r, target)) {
        r->position++;
        return true;
    }
    int64_t firm = __atomic_load_n(r->words + HEAD, __ATOMIC_ACQUIRE) - r->capacity / 2;
    r->lost += firm - r->position;
    r->position = firm;
    return false;
}

static inline uint64_t ring_mixed(uint64_t lane, uint64_t value) {
    lane = (lane ^ value) * UINT64_C(0xBF58476D1CE4E5B9);
    return lane ^ lane >> 32;
}

/* Of record `number`, so that an older lap's fits nothing new. */
static inline int64_t ring_seal(const void *record, int64_t number) {
    uint64_t start = ((uint64_t)number + 1) * UINT64_C(0x9E3779B97F4A7C15);
    uint64_t lanes[4] = {start, start + 1, start + 2, start + 3};
    uint64_t words[RECORD_WORDS], found = 0;
    memcpy(words, record, sizeof words);
    for (int i = 0; i < RECORD_WORDS; i++) lanes[i % 4] = ring_mixed(lanes[i % 4], words[i]);
    for (int i = 0; i < 4; i++) found = ring_mixed(found, lanes[i]);
    return (int64_t)found;
}

static inline bool ring_offer(ring *r, const void *records, int64_t count) {
    if (count > r->capacity - (r->position - r->seen)) {
        r->seen = __atomic_load_n(r->words + TAIL, __ATOMIC_ACQUIRE);
        if (count > r->capacity - (r->position - r->seen)) return false;
    }
    const char *source = records;
    bool is_anyone_asleep = ring_take_back_waiting(r);
    for (int64_t i = 0; i < count; i++, r->position++, source += HALFTICK_RECORD_BYTES) {
        memcpy(ring_slot(r, r->position), source, HALFTICK_RECORD_BYTES);
        r->stamps[r->position & (r->capacity - 1)] = ring_seal(source, r->position);
    }
    ring_set_head(r);
    ring_wake(r, is_anyone_asleep);
    return true;
}

/* How many were taken, whole; those from a damaged one on never are. */
static inline int64_t ring_take(ring *r, void *target, int64_t room) {
    if (r->seen - r->position < room)
        r->seen = __atomic_load_n(r->words + HEAD, __ATOMIC_ACQUIRE);
    int64_t waiting = r->seen - r->position, count = 0;
    if (waiting < 0 || waiting > r->capacity) r->is_damaged = true;
    char *to = target;
    for (; !r->is_damaged && count < waiting && count < room; to += HALFTICK_RECORD_BYTES) {
        memcpy(to, ring_slot(r, r->position), HALFTICK_RECORD_BYTES);
        int64_t stamp = r->stamps[r->position & (r->capacity - 1)];
        r->is_damaged = ring_seal(to, r->position) != stamp;
        if (r->is_damaged) break;
        r->position++;
        count++;
    }
    if (count) __atomic_store_n(r->words + TAIL, r->position, __ATOMIC_RELEASE);
    return count;
}
