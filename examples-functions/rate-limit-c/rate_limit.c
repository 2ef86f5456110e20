/* FCALL rate_limit_c 1 api:user:42 100 60: at most 100 requests in a window of 60 seconds, which
 * begins with the first of them. The same as rate-limit in Rust. */
#include "ferrite.h"

FERRITE_UDF(rate_limit_c, "library": "rate_limit_c", "result": "i64", "params": [
    {"name": "key", "role": "key", "type": "bytes"},
    {"name": "limit", "role": "arg", "type": "i64"},
    {"name": "window_secs", "role": "arg", "type": "i64"}
])
int64_t rate_limit_c(const char *key, uint32_t key_len, int64_t limit, int64_t window_secs) {
  char text[20];
  int64_t ms = window_secs > INT64_MAX / 1000 ? INT64_MAX : window_secs * 1000;
  int64_t current = 0;
  int64_t len = ferrite_get_into(key, key_len, text, sizeof text);
  FERRITE_CHECK(len);
  if (len > 0 && len <= (int64_t)sizeof text) ferrite_parse_int(text, (uint32_t)len, &current);

  if (current >= limit) FERRITE_FAIL("ERR rate limit exceeded");

  FERRITE_CHECK(ferrite_set(key, key_len, text, ferrite_format_int(current + 1, text)));
  /* The window begins with the first request in it. */
  if (current == 0) FERRITE_CHECK(ferrite_expire(key, key_len, ms));
  return current + 1;
}
