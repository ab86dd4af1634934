// How many members a plain aggregate has, and all of them at once.
//
// Counting: `T{{}, {}, {}}` is well formed as long as there are no more initializers than members, and a braced
// initializer never spills into a second member (no brace elision), so arrays and nested aggregates count as one.
// A type with a member that cannot be made from `{}` is counted with objects that convert to anything instead.
#pragma once

#include <cstddef>
#include <type_traits>
#include <utility>

namespace brood::detail {

inline constexpr std::size_t kMaxMembers = 32;
inline constexpr std::size_t kTooManyMembers = static_cast<std::size_t>(-1);
inline constexpr std::size_t kUncountable = static_cast<std::size_t>(-2);

template <class... M>
struct Types {
  static constexpr std::size_t kSize = sizeof...(M);
};

// Converts to anything. Only ever used unevaluated.
template <std::size_t>
struct Anything {
  template <class U>
  operator U() const noexcept;
};

// Converts to a base class of T and to nothing else.
template <class T>
struct AnyBaseOf {
  template <class U>
  requires(std::is_base_of_v<U, T> && !std::is_same_v<U, T>) operator U() const noexcept;
};

struct Unrelated {};

// The first initializer of an aggregate with bases is for its first base. (A member that takes anything proves
// nothing.)
template <class T>
inline constexpr bool kHasBase = requires {
  T{AnyBaseOf<T>{}};
}
&&!requires { T{Unrelated{}}; };

template <class T, std::size_t... I>
constexpr bool takes_anything(std::index_sequence<I...>) {
  return requires { T{Anything<I>{}...}; };
}

template <class T, std::size_t N = kMaxMembers>
constexpr std::size_t count_by_conversion() {
  if constexpr (takes_anything<T>(std::make_index_sequence<N>{})) {
    return N;
  } else if constexpr (N == 1) {
    return kUncountable;
  } else {
    return count_by_conversion<T, N - 1>();
  }
}

// clang-format off
#define BROOD_BRACES_1 {}
#define BROOD_BRACES_2 BROOD_BRACES_1, {}
#define BROOD_BRACES_3 BROOD_BRACES_2, {}
#define BROOD_BRACES_4 BROOD_BRACES_3, {}
#define BROOD_BRACES_5 BROOD_BRACES_4, {}
#define BROOD_BRACES_6 BROOD_BRACES_5, {}
#define BROOD_BRACES_7 BROOD_BRACES_6, {}
#define BROOD_BRACES_8 BROOD_BRACES_7, {}
#define BROOD_BRACES_9 BROOD_BRACES_8, {}
#define BROOD_BRACES_10 BROOD_BRACES_9, {}
#define BROOD_BRACES_11 BROOD_BRACES_10, {}
#define BROOD_BRACES_12 BROOD_BRACES_11, {}
#define BROOD_BRACES_13 BROOD_BRACES_12, {}
#define BROOD_BRACES_14 BROOD_BRACES_13, {}
#define BROOD_BRACES_15 BROOD_BRACES_14, {}
#define BROOD_BRACES_16 BROOD_BRACES_15, {}
#define BROOD_BRACES_17 BROOD_BRACES_16, {}
#define BROOD_BRACES_18 BROOD_BRACES_17, {}
#define BROOD_BRACES_19 BROOD_BRACES_18, {}
#define BROOD_BRACES_20 BROOD_BRACES_19, {}
#define BROOD_BRACES_21 BROOD_BRACES_20, {}
#define BROOD_BRACES_22 BROOD_BRACES_21, {}
#define BROOD_BRACES_23 BROOD_BRACES_22, {}
#define BROOD_BRACES_24 BROOD_BRACES_23, {}
#define BROOD_BRACES_25 BROOD_BRACES_24, {}
#define BROOD_BRACES_26 BROOD_BRACES_25, {}
#define BROOD_BRACES_27 BROOD_BRACES_26, {}
#define BROOD_BRACES_28 BROOD_BRACES_27, {}
#define BROOD_BRACES_29 BROOD_BRACES_28, {}
#define BROOD_BRACES_30 BROOD_BRACES_29, {}
#define BROOD_BRACES_31 BROOD_BRACES_30, {}
#define BROOD_BRACES_32 BROOD_BRACES_31, {}
// A member that takes no `{}` but something else makes the whole a case for counting by conversion.
#define BROOD_COUNT(n, some)                                             \
  if constexpr (!requires { T{some, {}}; }) {                            \
    if constexpr (requires { T{some, Anything<n>{}}; }) return count_by_conversion<T>(); \
    else return n;                                                       \
  } else

template <class T>
constexpr std::size_t count_by_braces() {
  if constexpr (!requires { T{{}}; }) return count_by_conversion<T>(); else
  BROOD_COUNT(1, BROOD_BRACES_1)
  BROOD_COUNT(2, BROOD_BRACES_2)
  BROOD_COUNT(3, BROOD_BRACES_3)
  BROOD_COUNT(4, BROOD_BRACES_4)
  BROOD_COUNT(5, BROOD_BRACES_5)
  BROOD_COUNT(6, BROOD_BRACES_6)
  BROOD_COUNT(7, BROOD_BRACES_7)
  BROOD_COUNT(8, BROOD_BRACES_8)
  BROOD_COUNT(9, BROOD_BRACES_9)
  BROOD_COUNT(10, BROOD_BRACES_10)
  BROOD_COUNT(11, BROOD_BRACES_11)
  BROOD_COUNT(12, BROOD_BRACES_12)
  BROOD_COUNT(13, BROOD_BRACES_13)
  BROOD_COUNT(14, BROOD_BRACES_14)
  BROOD_COUNT(15, BROOD_BRACES_15)
  BROOD_COUNT(16, BROOD_BRACES_16)
  BROOD_COUNT(17, BROOD_BRACES_17)
  BROOD_COUNT(18, BROOD_BRACES_18)
  BROOD_COUNT(19, BROOD_BRACES_19)
  BROOD_COUNT(20, BROOD_BRACES_20)
  BROOD_COUNT(21, BROOD_BRACES_21)
  BROOD_COUNT(22, BROOD_BRACES_22)
  BROOD_COUNT(23, BROOD_BRACES_23)
  BROOD_COUNT(24, BROOD_BRACES_24)
  BROOD_COUNT(25, BROOD_BRACES_25)
  BROOD_COUNT(26, BROOD_BRACES_26)
  BROOD_COUNT(27, BROOD_BRACES_27)
  BROOD_COUNT(28, BROOD_BRACES_28)
  BROOD_COUNT(29, BROOD_BRACES_29)
  BROOD_COUNT(30, BROOD_BRACES_30)
  BROOD_COUNT(31, BROOD_BRACES_31)
  BROOD_COUNT(32, BROOD_BRACES_32)
  return kTooManyMembers;
}

#undef BROOD_COUNT
#undef BROOD_BRACES_1
#undef BROOD_BRACES_2
#undef BROOD_BRACES_3
#undef BROOD_BRACES_4
#undef BROOD_BRACES_5
#undef BROOD_BRACES_6
#undef BROOD_BRACES_7
#undef BROOD_BRACES_8
#undef BROOD_BRACES_9
#undef BROOD_BRACES_10
#undef BROOD_BRACES_11
#undef BROOD_BRACES_12
#undef BROOD_BRACES_13
#undef BROOD_BRACES_14
#undef BROOD_BRACES_15
#undef BROOD_BRACES_16
#undef BROOD_BRACES_17
#undef BROOD_BRACES_18
#undef BROOD_BRACES_19
#undef BROOD_BRACES_20
#undef BROOD_BRACES_21
#undef BROOD_BRACES_22
#undef BROOD_BRACES_23
#undef BROOD_BRACES_24
#undef BROOD_BRACES_25
#undef BROOD_BRACES_26
#undef BROOD_BRACES_27
#undef BROOD_BRACES_28
#undef BROOD_BRACES_29
#undef BROOD_BRACES_30
#undef BROOD_BRACES_31
#undef BROOD_BRACES_32
// clang-format on

template <class T>
constexpr std::size_t count_members() {
  if constexpr (std::is_empty_v<T>) {
    return 0;
  } else if constexpr (requires { T{}; }) {
    return count_by_braces<T>();
  } else {
    return count_by_conversion<T>();
  }
}

template <class T>
inline constexpr std::size_t kMembers = count_members<std::remove_const_t<T>>();

// Calls f(member...) with every member of `value`, in order.
// clang-format off
#define BROOD_BIND(n, ...) if constexpr (N == n) { auto& [__VA_ARGS__] = value; return f(__VA_ARGS__); } else

template <class T, class F>
constexpr decltype(auto) with_members([[maybe_unused]] T& value, F&& f) {
  constexpr std::size_t N = kMembers<T>;
  static_assert(N <= kMaxMembers, "brood: this aggregate has more members than can be listed; give it serialize()");
  BROOD_BIND(1, m1)
  BROOD_BIND(2, m1, m2)
  BROOD_BIND(3, m1, m2, m3)
  BROOD_BIND(4, m1, m2, m3, m4)
  BROOD_BIND(5, m1, m2, m3, m4, m5)
  BROOD_BIND(6, m1, m2, m3, m4, m5, m6)
  BROOD_BIND(7, m1, m2, m3, m4, m5, m6, m7)
  BROOD_BIND(8, m1, m2, m3, m4, m5, m6, m7, m8)
  BROOD_BIND(9, m1, m2, m3, m4, m5, m6, m7, m8, m9)
  BROOD_BIND(10, m1, m2, m3, m4, m5, m6, m7, m8, m9, m10)
  BROOD_BIND(11, m1, m2, m3, m4, m5, m6, m7, m8, m9, m10, m11)
  BROOD_BIND(12, m1, m2, m3, m4, m5, m6, m7, m8, m9, m10, m11, m12)
  BROOD_BIND(13, m1, m2, m3, m4, m5, m6, m7, m8, m9, m10, m11, m12, m13)
  BROOD_BIND(14, m1, m2, m3, m4, m5, m6, m7, m8, m9, m10, m11, m12, m13, m14)
  BROOD_BIND(15, m1, m2, m3, m4, m5, m6, m7, m8, m9, m10, m11, m12, m13, m14, m15)
  BROOD_BIND(16, m1, m2, m3, m4, m5, m6, m7, m8, m9, m10, m11, m12, m13, m14, m15, m16)
  BROOD_BIND(17, m1, m2, m3, m4, m5, m6, m7, m8, m9, m10, m11, m12, m13, m14, m15, m16, m17)
  BROOD_BIND(18, m1, m2, m3, m4, m5, m6, m7, m8, m9, m10, m11, m12, m13, m14, m15, m16, m17, m18)
  BROOD_BIND(19, m1, m2, m3, m4, m5, m6, m7, m8, m9, m10, m11, m12, m13, m14, m15, m16, m17, m18, m19)
  BROOD_BIND(20, m1, m2, m3, m4, m5, m6, m7, m8, m9, m10, m11, m12, m13, m14, m15, m16, m17, m18, m19, m20)
  BROOD_BIND(21, m1, m2, m3, m4, m5, m6, m7, m8, m9, m10, m11, m12, m13, m14, m15, m16, m17, m18, m19, m20, m21)
  BROOD_BIND(22, m1, m2, m3, m4, m5, m6, m7, m8, m9, m10, m11, m12, m13, m14, m15, m16, m17, m18, m19, m20, m21, m22)
  BROOD_BIND(23,
             m1, m2, m3, m4, m5, m6, m7, m8, m9, m10, m11, m12, m13, m14, m15, m16, m17, m18, m19, m20, m21, m22, m23)
  BROOD_BIND(24,
             m1, m2, m3, m4, m5, m6, m7, m8, m9, m10, m11, m12, m13, m14, m15, m16, m17, m18, m19, m20, m21, m22, m23,
             m24)
  BROOD_BIND(25,
             m1, m2, m3, m4, m5, m6, m7, m8, m9, m10, m11, m12, m13, m14, m15, m16, m17, m18, m19, m20, m21, m22, m23,
             m24, m25)
  BROOD_BIND(26,
             m1, m2, m3, m4, m5, m6, m7, m8, m9, m10, m11, m12, m13, m14, m15, m16, m17, m18, m19, m20, m21, m22, m23,
             m24, m25, m26)
  BROOD_BIND(27,
             m1, m2, m3, m4, m5, m6, m7, m8, m9, m10, m11, m12, m13, m14, m15, m16, m17, m18, m19, m20, m21, m22, m23,
             m24, m25, m26, m27)
  BROOD_BIND(28,
             m1, m2, m3, m4, m5, m6, m7, m8, m9, m10, m11, m12, m13, m14, m15, m16, m17, m18, m19, m20, m21, m22, m23,
             m24, m25, m26, m27, m28)
  BROOD_BIND(29,
             m1, m2, m3, m4, m5, m6, m7, m8, m9, m10, m11, m12, m13, m14, m15, m16, m17, m18, m19, m20, m21, m22, m23,
             m24, m25, m26, m27, m28, m29)
  BROOD_BIND(30,
             m1, m2, m3, m4, m5, m6, m7, m8, m9, m10, m11, m12, m13, m14, m15, m16, m17, m18, m19, m20, m21, m22, m23,
             m24, m25, m26, m27, m28, m29, m30)
  BROOD_BIND(31,
             m1, m2, m3, m4, m5, m6, m7, m8, m9, m10, m11, m12, m13, m14, m15, m16, m17, m18, m19, m20, m21, m22, m23,
             m24, m25, m26, m27, m28, m29, m30, m31)
  BROOD_BIND(32,
             m1, m2, m3, m4, m5, m6, m7, m8, m9, m10, m11, m12, m13, m14, m15, m16, m17, m18, m19, m20, m21, m22, m23,
             m24, m25, m26, m27, m28, m29, m30, m31, m32)
  return f();
}

#undef BROOD_BIND
// clang-format on

struct ToTypes {
  template <class... M>
  constexpr Types<M...> operator()(M&...) const {
    return {};
  }
};

// The types of the members, as Types<...>.
template <class T>
using MembersOf = decltype(detail::with_members(std::declval<T&>(), ToTypes{}));

}  // namespace brood::detail
