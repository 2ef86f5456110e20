/* ferrite.h: functions for Ferrite in C, ABI 1 (docs/functions.md).
 *
 * One header for clang, no library: freestanding (--target=wasm32-unknown-unknown -nostdlib) and with
 * wasi-libc (--target=wasm32-wasi -mexec-model=reactor). A module includes it in one file.
 *
 *     #include "ferrite.h"
 *
 *     FERRITE_UDF(greet, "result": "bytes", "params": [{"name": "name", "role": "arg", "type": "str"}])
 *     int64_t greet(const char *name, uint32_t name_len) { ... return ferrite_pack(text, len); }
 *
 * Link with -Wl,--no-entry -Wl,-z,stack-size=16384, so that a module's memory is one page, and with
 * -Wl,--strip-debug; --strip-all would take the records away as well.
 *
 * Memory: ferrite_alloc hands out what is behind the program's data, up to what memory can grow to.
 * Nothing is ever freed: all of it is gone when the call ends. */
#ifndef FERRITE_H
#define FERRITE_H

#include <stddef.h>
#include <stdint.h>

#define FERRITE_IMPORT(name) __attribute__((import_module("ferrite"), import_name(#name))) extern

/* The host's functions. A result below 0 is an error, or FERRITE_NIL. */
FERRITE_IMPORT(ferrite_get) int64_t ferrite_get(const void *key, uint32_t key_len);
FERRITE_IMPORT(ferrite_get_into) int64_t ferrite_get_into(const void *key, uint32_t key_len,
                                                          void *dst, uint32_t capacity);
FERRITE_IMPORT(ferrite_set) int32_t ferrite_set(const void *key, uint32_t key_len,
                                                const void *value, uint32_t value_len);
FERRITE_IMPORT(ferrite_set_ttl) int32_t ferrite_set_ttl(const void *key, uint32_t key_len,
                                                        const void *value, uint32_t value_len,
                                                        int64_t ttl_ms);
FERRITE_IMPORT(ferrite_del) int32_t ferrite_del(const void *key, uint32_t key_len);
FERRITE_IMPORT(ferrite_exists) int32_t ferrite_exists(const void *key, uint32_t key_len);
FERRITE_IMPORT(ferrite_expire) int32_t ferrite_expire(const void *key, uint32_t key_len,
                                                      int64_t ttl_ms);
FERRITE_IMPORT(ferrite_ttl) int64_t ferrite_ttl(const void *key, uint32_t key_len);
FERRITE_IMPORT(ferrite_incr_by) int32_t ferrite_incr_by(const void *key, uint32_t key_len,
                                                        int64_t by, int64_t *out);
FERRITE_IMPORT(ferrite_hget) int64_t ferrite_hget(const void *key, uint32_t key_len,
                                                  const void *field, uint32_t field_len, void *dst,
                                                  uint32_t capacity);
FERRITE_IMPORT(ferrite_hset) int32_t ferrite_hset(const void *key, uint32_t key_len,
                                                  const void *field, uint32_t field_len,
                                                  const void *value, uint32_t value_len);
FERRITE_IMPORT(ferrite_reply_read) int32_t ferrite_reply_read(uint32_t offset, void *dst,
                                                              uint32_t capacity);
FERRITE_IMPORT(ferrite_fail) _Noreturn void ferrite_fail(const void *text, uint32_t text_len);
FERRITE_IMPORT(ferrite_log) void ferrite_log(int32_t level, const void *text, uint32_t text_len);
FERRITE_IMPORT(ferrite_metric) int32_t ferrite_metric(const void *name, uint32_t name_len,
                                                      int32_t kind, double value);
FERRITE_IMPORT(ferrite_config_get) int64_t ferrite_config_get(const void *name, uint32_t name_len,
                                                              void *dst, uint32_t capacity);
FERRITE_IMPORT(ferrite_now_ms) int64_t ferrite_now_ms(void);
FERRITE_IMPORT(ferrite_random) void ferrite_random(void *dst, uint32_t len);

/* A text of a list parameter, and a word of a command. */
typedef struct {
  const char *text;
  uint32_t len;
} ferrite_text;

FERRITE_IMPORT(ferrite_call) int64_t ferrite_call(const ferrite_text *argv, uint32_t argc,
                                                  int32_t flags, void *dst, uint32_t capacity);

/* Results. */
enum {
  FERRITE_NIL = -1,
  FERRITE_WRONGTYPE = -2,
  FERRITE_READONLY = -3,
  FERRITE_OOM = -4,
  FERRITE_UNDECLARED = -5,
  FERRITE_CROSSSLOT = -6,
  FERRITE_NOPERM = -7,
  FERRITE_NOSCRIPT = -8,
  FERRITE_TOOBIG = -9,
  FERRITE_GUEST_OOM = -10,
  FERRITE_ERROR = -11
};

/* ferrite_log */
enum { FERRITE_DEBUG = 0, FERRITE_VERBOSE = 1, FERRITE_NOTICE = 2, FERRITE_WARNING = 3 };
/* ferrite_metric */
enum { FERRITE_COUNTER = 0, FERRITE_GAUGE = 1 };
/* ferrite_call: an error ends the call. */
enum { FERRITE_CALL_FAILS = 1 };

/* What ferrite_get returned, if it is not below 0; and what a function returns for "bytes" and
 * "reply". */
static inline char *ferrite_address(int64_t packed) { return (char *)(uintptr_t)(packed >> 32); }
static inline uint32_t ferrite_length(int64_t packed) { return (uint32_t)packed; }
static inline int64_t ferrite_pack(const void *address, uint32_t len) {
  return (int64_t)((uint64_t)(uintptr_t)address << 32 | len);
}

/* Ends the call with an error; a literal, such as "DENIED not today". */
#define FERRITE_FAIL(literal) ferrite_fail(literal, sizeof(literal) - 1)
/* Ends the call with the host's error, if a result is one. */
#define FERRITE_CHECK(result) ((result) < FERRITE_NIL ? ferrite_fail("", 0) : (void)0)

/* Decimal text to a number; 0 if that is not what it is. */
static inline int ferrite_parse_int(const char *text, uint32_t len, int64_t *number) {
  uint32_t at = len > 0 && text[0] == '-';
  int64_t value = 0;
  if (at == len) return 0;
  for (; at < len; at++) {
    if (text[at] < '0' || text[at] > '9') return 0;
    /* Downwards, since there is one more number below 0 than above. */
    int64_t digit = text[at] - '0';
    if (value < (INT64_MIN + digit) / 10) return 0;
    value = value * 10 - digit;
  }
  if (text[0] != '-' && value == INT64_MIN) return 0;
  *number = text[0] == '-' ? value : -value;
  return 1;
}

/* A number as decimal text, at most 20 characters. Its length. */
static inline uint32_t ferrite_format_int(int64_t number, char *text) {
  uint64_t rest = number < 0 ? -(uint64_t)number : (uint64_t)number;
  char digits[20];
  uint32_t count = 0, len = 0;
  do digits[count++] = (char)('0' + rest % 10);
  while (rest /= 10);
  if (number < 0) text[len++] = '-';
  while (count) text[len++] = digits[--count];
  return len;
}

/* Stands before a function's definition: exports it, and writes its record, whose fields are those of
 * "Metadata" in docs/functions.md, without "abi" and "name". */
#define FERRITE_UDF(function, ...) FERRITE_RECORD(#function, __VA_ARGS__)
#define FERRITE_RECORD(exported, ...)                                                              \
  __asm__(".section .custom_section.ferrite.udf,\"\",@\n.ascii " FERRITE_QUOTED(FERRITE_TEXT(       \
      {"abi" : 1, "name" : exported, __VA_ARGS__})) "\n.text\n");                                 \
  __attribute__((export_name(exported)))
#define FERRITE_TEXT(...) #__VA_ARGS__
#define FERRITE_QUOTED(text) FERRITE_TEXT(text)

#ifndef FERRITE_NO_ALLOC
/* Where the next block goes. With a C library, memory behind the data is its malloc's, so blocks are
 * taken from there; without one, from behind the data to the end of memory. */
#ifdef __wasi__
#include <stdlib.h>
__attribute__((export_name("ferrite_alloc"))) void *ferrite_alloc(uint32_t len) {
  return malloc(len);
}
#else
extern unsigned char __heap_base;
__attribute__((export_name("ferrite_alloc"))) void *ferrite_alloc(uint32_t len) {
  static uintptr_t next;
  uintptr_t start = ((next ? next : (uintptr_t)&__heap_base) + 7) & ~(uintptr_t)7;
  uintptr_t end = __builtin_wasm_memory_size(0) * 65536u;
  if (len > UINT32_MAX - start) return NULL;
  if (start + len > end) {
    uintptr_t pages = (start + len - end + 65535u) / 65536u;
    if (__builtin_wasm_memory_grow(0, pages) == SIZE_MAX) return NULL;
  }
  next = start + len;
  return (void *)start;
}
#endif
#endif

#endif
