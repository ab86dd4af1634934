// Which sanitizer the tests were built with, for the few things that cannot be under one.
#pragma once

namespace brood::testing {

#if defined(__has_feature)  // clang's way to tell
#define BROOD_TEST_SANITIZER(name) __has_feature(name##_sanitizer)
#else
#define BROOD_TEST_SANITIZER(name) 0
#endif

#if defined(__SANITIZE_ADDRESS__) || BROOD_TEST_SANITIZER(address)
inline constexpr bool kAddressSanitizer = true;
#else
inline constexpr bool kAddressSanitizer = false;
#endif

#if defined(__SANITIZE_THREAD__) || BROOD_TEST_SANITIZER(thread)
inline constexpr bool kThreadSanitizer = true;
#else
inline constexpr bool kThreadSanitizer = false;
#endif

#undef BROOD_TEST_SANITIZER

inline constexpr bool kSanitized = kAddressSanitizer || kThreadSanitizer;

}  // namespace brood::testing
