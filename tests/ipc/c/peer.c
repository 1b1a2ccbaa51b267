/* The C side of the conformance tests: `peer ROLE RING RUN_ID COUNT`.
 *
 *   offer, publish   write COUNT records, every kind in turn, each field filled by its name
 *   take, follow     read until record COUNT - 1, checking each field by its name; print the losses
 *   break-offer, break-publish   write half of the next record's slot, say so, and hang there
 *
 * Record n is of the kind number n (mod kinds) of fields.h; its trace is n, and the field number f
 * holds the low bytes of mix(n, f). A refusal, a wrong field or damage is printed and exits 3.
 */
#include "ring.h"

#include <inttypes.h>
#include <sched.h>
#include <stdio.h>

enum { REFUSED = 3, BATCH_MAX = 5 };

static uint64_t mix(uint64_t number, uint64_t field) {
    uint64_t z = (number * 1009 + field + 1) * UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    return z ^ z >> 31;
}

/* fields.h: BEGIN(structure, KIND) FIELD(member) ... END for every kind, in the order of to_json().
 * Arrays are spread out, one FIELD an item. */
static void fill(void *record, uint64_t number) {
    uint64_t kind = 0, field = 0;
    memset(record, 0, HALFTICK_RECORD_BYTES);
#define BEGIN(structure, name)                                     \
    if (kind++ == number % KINDS) {                                \
        halftick_##structure *r = record;                          \
        field = 0;                                                 \
        r->kind = HALFTICK_##name;                                 \
        r->trace = number;
#define FIELD(member) r->member = (__typeof__(r->member))mix(number, field++);
#define END }
#include "fields.h"
#undef BEGIN
#undef FIELD
#undef END
}

static const char *wrong_field(const void *record, uint64_t number) {
    uint64_t kind = 0, field = 0;
#define BEGIN(structure, name)                                     \
    if (kind++ == number % KINDS) {                                \
        const halftick_##structure *r = record;                    \
        field = 0;                                                 \
        if (r->kind != HALFTICK_##name) return #name ".kind";      \
        if (r->trace != number) return #name ".trace";
#define FIELD(member) \
        if (r->member != (__typeof__(r->member))mix(number, field++)) return #member;
#define END }
#include "fields.h"
    return NULL;
}

static int refuse(const char *why) {
    printf("%s\n", why);
    return REFUSED;
}

static int write_records(ring *r, int64_t count, bool is_queue) {
    _Alignas(8) char batch[BATCH_MAX][HALFTICK_RECORD_BYTES];
    for (int64_t size = 1; r->position < count; size = size % BATCH_MAX + 1) {
        int64_t n = count - r->position < size ? count - r->position : size;
        for (int64_t i = 0; i < n; i++) fill(batch[i], (uint64_t)(r->position + i));
        if (!is_queue) ring_publish(r, batch, n);
        else while (!ring_offer(r, batch, n)) sched_yield();
    }
    return 0;
}

static int read_records(ring *r, int64_t count, bool is_queue) {
    _Alignas(8) char record[HALFTICK_RECORD_BYTES];
    while (r->position < count) {
        if (!(is_queue ? ring_take(r, record, 1) == 1 : ring_follow(r, record))) {
            if (r->is_damaged) return refuse("damaged");
            sched_yield();
            continue;
        }
        const char *wrong = wrong_field(record, (uint64_t)(r->position - 1));
        if (wrong) {
            printf("wrong field: record=%" PRId64 ", field=%s\n", r->position - 1, wrong);
            return REFUSED;
        }
    }
    printf("%" PRId64 "\n", r->lost);
    return 0;
}

static _Noreturn void break_slot(ring *r, bool is_queue) {
    if (!is_queue) ring_begin_slot(r);
    memset(ring_slot(r, r->position), 0xEE, HALFTICK_RECORD_BYTES / 2);
    puts("inside");
    fflush(stdout);
    for (;;) pause();
}

int main(int argc, char **argv) {
    if (argc != 5) return refuse("usage: peer ROLE RING RUN_ID COUNT");
    const char *role = argv[1];
    bool is_queue = !strcmp(role, "offer") || !strcmp(role, "take") || !strcmp(role, "break-offer");
    bool is_reader = !strcmp(role, "take") || !strcmp(role, "follow");
    int64_t count = strtoll(argv[4], NULL, 10);
    ring r;
    const char *error = ring_attach(&r, argv[2], is_queue ? QUEUE : BROADCAST,
                                    is_reader ? READER : WRITER, strtoll(argv[3], NULL, 10));
    if (error) return refuse(error);
    if (!strncmp(role, "break", 5)) break_slot(&r, is_queue);
    if (is_reader) {
        puts("attached");
        fflush(stdout);
    }
    int code = is_reader ? read_records(&r, count, is_queue) : write_records(&r, count, is_queue);
    ring_close(&r);
    return code;
}
