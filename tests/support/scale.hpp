// How hard a test tries.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdlib>

namespace brood::testing {

// `count` repetitions, or the part of them that BROOD_TEST_PERCENT asks for, at least one. The sanitizer presets run a
// tenth: every instruction costs them five to fifteen times as much, and they look for wrong memory accesses, not luck.
inline std::size_t scaled(std::size_t count) {
  const char* text = std::getenv("BROOD_TEST_PERCENT");
  const std::size_t percent = text == nullptr ? 100 : std::strtoul(text, nullptr, 10);
  return std::max<std::size_t>(1, count * percent / 100);
}

}  // namespace brood::testing
