// Types whose encoding always has the same size, and those of them whose memory already is their encoding.
#pragma once

#include <brood/detail/archive_kinds.hpp>

#include <bit>
#include <cfloat>
#include <cstddef>
#include <cstring>
#include <type_traits>
#include <utility>

namespace brood::detail {

static_assert(std::endian::native == std::endian::little,
              "brood's archive is little-endian, as is every machine it runs on");

// Larger ones go member by member instead of through one block on the stack.
inline constexpr std::size_t kLargestFixed = 512;

template <class T>
inline constexpr std::size_t kNumberBytes = sizeof(T);
#if LDBL_MANT_DIG == 64
template <>
inline constexpr std::size_t kNumberBytes<long double> = 10;  // the rest is padding
#endif

template <class T, std::size_t... I>
Types<std::tuple_element_t<I, T>...> tuple_types(std::index_sequence<I...>);

template <class T>
using ElementsOf = decltype(tuple_types<T>(std::make_index_sequence<std::tuple_size<T>::value>{}));

template <class T>
using DurationOf = decltype(std::declval<const T&>().time_since_epoch());

template <class T>
using RepOf = decltype(std::declval<const T&>().count());

// --- bulk: the memory is the encoding -------------------------------------------------------------------------------

template <class T>
constexpr bool is_bulk();

template <class... M>
constexpr bool all_bulk(Types<M...>) {
  return (is_bulk<M>() && ...);
}

template <class... M>
constexpr std::size_t sum_of_sizes(Types<M...>) {
  return (sizeof(M) + ... + std::size_t{0});
}

template <class T>
constexpr bool is_bulk() {
  using U = std::remove_const_t<T>;
  constexpr Kind kind = kKind<U>;
  if constexpr (kind == Kind::number) {
    return kNumberBytes<U> == sizeof(U);
  } else if constexpr (kind == Kind::enumeration) {
    return is_bulk<std::underlying_type_t<U>>();
  } else if constexpr (!std::is_trivially_copyable_v<U>) {
    return false;
  } else if constexpr (kind == Kind::c_array) {
    return is_bulk<std::remove_extent_t<U>>();
  } else if constexpr (kind == Kind::array) {
    using E = typename U::value_type;
    return is_bulk<E>() && std::tuple_size<U>::value > 0 && sizeof(U) == std::tuple_size<U>::value * sizeof(E);
  } else if constexpr (kind == Kind::complex) {
    using E = typename U::value_type;
    return is_bulk<E>() && sizeof(U) == 2 * sizeof(E);
  } else if constexpr (kind == Kind::duration) {
    return is_bulk<RepOf<U>>() && sizeof(U) == sizeof(RepOf<U>);
  } else if constexpr (kind == Kind::time_point) {
    return is_bulk<DurationOf<U>>() && sizeof(U) == sizeof(DurationOf<U>);
  } else if constexpr (kind == Kind::aggregate && kMembers<U> != 0) {
    return all_bulk(MembersOf<U>{}) && sum_of_sizes(MembersOf<U>{}) == sizeof(U);
  } else {
    return false;
  }
}

template <class T>
inline constexpr bool kBulk = is_bulk<T>();

// --- fixed: the encoding always has the same size -------------------------------------------------------------------

// The size of the encoding, or 0 when it depends on the value.
template <class T>
constexpr std::size_t fixed_size();

template <class... M>
constexpr std::size_t fixed_sum(Types<M...>) {
  if constexpr (sizeof...(M) == 0) {
    return 1;
  } else {
    return ((fixed_size<M>() != 0) && ...) ? (fixed_size<M>() + ...) : 0;
  }
}

template <class T>
constexpr std::size_t fixed_size() {
  using U = std::remove_const_t<T>;
  constexpr Kind kind = kKind<U>;
  if constexpr (kind == Kind::boolean || kind == Kind::empty) {
    return 1;
  } else if constexpr (kind == Kind::number) {
    return kNumberBytes<U>;
  } else if constexpr (kind == Kind::enumeration) {
    return fixed_size<std::underlying_type_t<U>>();
  } else if constexpr (kind == Kind::c_array) {
    return std::extent_v<U> * fixed_size<std::remove_extent_t<U>>();
  } else if constexpr (kind == Kind::array) {
    constexpr std::size_t n = std::tuple_size<U>::value;
    return n == 0 ? 1 : n * fixed_size<typename U::value_type>();
  } else if constexpr (kind == Kind::complex) {
    return 2 * fixed_size<typename U::value_type>();
  } else if constexpr (kind == Kind::duration) {
    return fixed_size<RepOf<U>>();
  } else if constexpr (kind == Kind::time_point) {
    return fixed_size<DurationOf<U>>();
  } else if constexpr (kind == Kind::tuple) {
    return fixed_sum(ElementsOf<U>{});
  } else if constexpr (kind == Kind::aggregate) {
    return fixed_sum(MembersOf<U>{});
  } else {
    return 0;
  }
}

template <class T>
inline constexpr std::size_t kFixedSize = fixed_size<T>();

template <class T>
inline constexpr bool kFixed = kFixedSize<T> != 0 && kFixedSize<T> <= kLargestFixed;

// Nothing to write. It takes a byte all the same: a length can then be checked against the bytes that are left.
template <class T>
constexpr bool has_no_parts() {
  if constexpr (kKind<T> == Kind::array) {
    return std::tuple_size<T>::value == 0;
  } else {
    return kKind<T> == Kind::empty || std::is_empty_v<T>;
  }
}

// Writes `value` at `at`, where kFixedSize<T> bytes are free; returns where the next value goes.
template <class T>
constexpr std::byte* encode(std::byte* at, const T& value) {
  constexpr Kind kind = kKind<T>;
  if constexpr (kBulk<T>) {
    std::memcpy(at, __builtin_addressof(value), sizeof(T));
    return at + sizeof(T);
  } else if constexpr (kind == Kind::number) {
    std::memcpy(at, &value, kNumberBytes<T>);
    return at + kNumberBytes<T>;
  } else if constexpr (kind == Kind::boolean) {
    *at = static_cast<std::byte>(value ? 1 : 0);
    return at + 1;
  } else if constexpr (kind == Kind::enumeration) {
    return detail::encode(at, static_cast<std::underlying_type_t<T>>(value));
  } else if constexpr (kind == Kind::complex) {
    return detail::encode(detail::encode(at, value.real()), value.imag());
  } else if constexpr (kind == Kind::duration) {
    return detail::encode(at, value.count());
  } else if constexpr (kind == Kind::time_point) {
    return detail::encode(at, value.time_since_epoch());
  } else if constexpr (detail::has_no_parts<T>()) {
    *at = std::byte{0};
    return at + 1;
  } else if constexpr (kind == Kind::c_array || kind == Kind::array) {
    for (const auto& element : value) at = detail::encode(at, element);
    return at;
  } else if constexpr (kind == Kind::tuple) {
    [&]<std::size_t... I>(std::index_sequence<I...>) { ((at = detail::encode(at, get<I>(value))), ...); }
    (std::make_index_sequence<std::tuple_size<T>::value>{});
    return at;
  } else {
    static_assert(kind == Kind::aggregate);
    detail::with_members(value, [&](const auto&... member) { ((at = detail::encode(at, member)), ...); });
    return at;
  }
}

// Reads `value` from `at`; calls bad() when the bytes cannot be such a value. Returns where the next value starts.
template <class T, class Bad>
constexpr const std::byte* decode(const std::byte* at, T& value, Bad bad) {
  constexpr Kind kind = kKind<T>;
  if constexpr (kBulk<T>) {
    std::memcpy(static_cast<void*>(__builtin_addressof(value)), at, sizeof(T));
    return at + sizeof(T);
  } else if constexpr (kind == Kind::number) {
    std::memcpy(&value, at, kNumberBytes<T>);
    return at + kNumberBytes<T>;
  } else if constexpr (kind == Kind::boolean) {
    if (*at > std::byte{1}) bad("a bool that is neither 0 nor 1");
    value = *at == std::byte{1};
    return at + 1;
  } else if constexpr (kind == Kind::enumeration) {
    std::underlying_type_t<T> number;
    at = detail::decode(at, number, bad);
    value = static_cast<T>(number);
    return at;
  } else if constexpr (kind == Kind::complex) {
    typename T::value_type real, imag;
    at = detail::decode(detail::decode(at, real, bad), imag, bad);
    value = T(real, imag);
    return at;
  } else if constexpr (kind == Kind::duration) {
    RepOf<T> count;
    at = detail::decode(at, count, bad);
    value = T(count);
    return at;
  } else if constexpr (kind == Kind::time_point) {
    DurationOf<T> since;
    at = detail::decode(at, since, bad);
    value = T(since);
    return at;
  } else if constexpr (detail::has_no_parts<T>()) {
    return at + 1;
  } else if constexpr (kind == Kind::c_array || kind == Kind::array) {
    for (auto& element : value) at = detail::decode(at, element, bad);
    return at;
  } else if constexpr (kind == Kind::tuple) {
    [&]<std::size_t... I>(std::index_sequence<I...>) { ((at = detail::decode(at, get<I>(value), bad)), ...); }
    (std::make_index_sequence<std::tuple_size<T>::value>{});
    return at;
  } else {
    static_assert(kind == Kind::aggregate);
    detail::with_members(value, [&](auto&... member) { ((at = detail::decode(at, member, bad)), ...); });
    return at;
  }
}

}  // namespace brood::detail
