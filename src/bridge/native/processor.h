// What this processor can do, asked of the processor itself: __builtin_cpu_supports is always 0
// with Zig's run-time library, which the released add-on is built with. Bits as in Intel's manual,
// volume 2, CPUID.
#pragma once

#if defined(__x86_64__)
#include <cpuid.h>

namespace logpipe {

// Whether it has these instructions (bits of leaf 7's EBX, cpuid.h), AVX2 among them.
inline bool hasAvx2And(unsigned others) {
  unsigned a, b, c, d;
  constexpr unsigned saved = bit_OSXSAVE | bit_AVX;
  if (__get_cpuid(1, &a, &b, &c, &d) == 0 || (c & saved) != saved) return false;
  // Does the kernel keep the wide registers, both halves, when it changes threads?
  unsigned kept, high;
  __asm__("xgetbv" : "=a"(kept), "=d"(high) : "c"(0));
  if ((kept & 6) != 6) return false;
  const unsigned wanted = bit_AVX2 | others;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (b & wanted) == wanted;
}

}  // namespace logpipe
#endif
