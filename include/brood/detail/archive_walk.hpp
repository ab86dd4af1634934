// What a type is made of, and the questions that are answered by walking through it at compile time.
//
// Types may contain themselves (a tree node with a vector of nodes), so each walk carries the chain of types it is in.
// The chain is a value, not a template argument: every function here is instantiated once per type.
#pragma once

#include <brood/detail/archive_fixed.hpp>

#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace brood::detail {

template <template <class...> class V, class... A>
Types<A...> alternatives(const V<A...>*);

template <class T>
using AlternativesOf = decltype(alternatives(static_cast<const T*>(nullptr)));

// The value of an expected<void, E>.
struct Nothing {};

template <class T>
constexpr auto children() {
  constexpr Kind kind = kKind<T>;
  if constexpr (kind == Kind::enumeration) {
    return Types<std::underlying_type_t<T>>{};
  } else if constexpr (kind == Kind::c_array) {
    return Types<std::remove_extent_t<T>>{};
  } else if constexpr (kind == Kind::duration) {
    return Types<RepOf<T>>{};
  } else if constexpr (kind == Kind::time_point) {
    return Types<DurationOf<T>>{};
  } else if constexpr (kind == Kind::tuple) {
    return ElementsOf<T>{};
  } else if constexpr (kind == Kind::aggregate) {
    return MembersOf<T>{};
  } else if constexpr (kind == Kind::map) {
    return Types<typename T::key_type, typename T::mapped_type>{};
  } else if constexpr (kind == Kind::adaptor) {
    return Types<typename T::container_type>{};
  } else if constexpr (kind == Kind::variant) {
    return AlternativesOf<T>{};
  } else if constexpr (kind == Kind::expected) {
    using V = typename T::value_type;
    return Types<std::conditional_t<std::is_void_v<V>, Nothing, V>, typename T::error_type>{};
  } else if constexpr (kind == Kind::pointer) {
    return Types<typename T::element_type>{};
  } else if constexpr (kind == Kind::array || kind == Kind::complex || kind == Kind::set || kind == Kind::sequence ||
                       kind == Kind::view || kind == Kind::valarray || kind == Kind::optional) {
    return Types<typename T::value_type>{};
  } else {
    return Types<>{};
  }
}

// Tells types apart in constant expressions. (By their spelling: GCC cannot compare the addresses of two templates'
// data there when it compiles for UBSan. Two unnamed types may be spelled alike; then kind and size tell.)
struct TypeTag {
  const char* spelling;
  std::size_t size;
  Kind kind;
};

template <class T>
inline constexpr TypeTag kTypeTag{spelling<T>().data(), sizeof(T), kKind<T>};

constexpr bool is_same(const TypeTag& a, const TypeTag& b) {
  return a.size == b.size && a.kind == b.kind && __builtin_strcmp(a.spelling, b.spelling) == 0;
}

struct Chain {
  const TypeTag& type;
  const Chain* up;
};

// How many steps up the chain the type is, from 1; 0 when it is not in the chain.
constexpr std::size_t position_in(const Chain* chain, const TypeTag& type) {
  std::size_t steps = 1;
  for (; chain != nullptr; chain = chain->up, ++steps) {
    if (is_same(chain->type, type)) return steps;
  }
  return 0;
}

// --- does a type contain itself? ------------------------------------------------------------------------------------

template <class T>
constexpr bool reaches(const TypeTag& goal, bool through_aggregates, const Chain* chain);

template <class... C>
constexpr bool any_reaches(Types<C...>, [[maybe_unused]] const TypeTag& goal, [[maybe_unused]] bool through_aggregates,
                           [[maybe_unused]] const Chain* chain) {
  return (reaches<std::remove_const_t<C>>(goal, through_aggregates, chain) || ...);
}

template <class T>
constexpr bool reaches([[maybe_unused]] const TypeTag& goal, [[maybe_unused]] bool through_aggregates,
                       [[maybe_unused]] const Chain* chain) {
  if constexpr (!std::is_class_v<T> && !std::is_array_v<T>) {
    return false;
  } else {
    if (is_same(kTypeTag<T>, goal)) return true;
    if ((kKind<T> == Kind::aggregate && !through_aggregates) || position_in(chain, kTypeTag<T>) != 0) return false;
    const Chain here{kTypeTag<T>, chain};
    return any_reaches(children<T>(), goal, through_aggregates, &here);
  }
}

// Types that count a level of nesting: at least one in every cycle. The containers between two aggregates need not.
template <class T>
inline constexpr bool kCountsLevel = kKind<T> == Kind::custom ||
                                     any_reaches(children<T>(), kTypeTag<T>, kKind<T> == Kind::aggregate, nullptr);

// --- its hash -------------------------------------------------------------------------------------------------------

constexpr std::uint64_t mix(std::uint64_t hash, std::uint64_t value) {
  hash ^= value + 0x9e3779b97f4a7c15U + (hash << 12) + (hash >> 4);
  hash *= 0xff51afd7ed558ccdU;
  return hash ^ (hash >> 32);
}

template <class T>
constexpr std::uint64_t hash_walk(const Chain* chain);

template <class... C>
constexpr std::uint64_t hash_all(Types<C...>, [[maybe_unused]] std::uint64_t hash,
                                 [[maybe_unused]] const Chain* chain) {
  ((hash = mix(hash, hash_walk<std::remove_const_t<C>>(chain))), ...);
  return mix(hash, sizeof...(C));
}

// What sets the encodings apart; kinds with the same encoding share a number.
template <class T>
constexpr std::uint64_t hash_seed() {
  constexpr Kind kind = kKind<T>;
  if constexpr (kind == Kind::number) {
    if (std::is_floating_point_v<T>) return 0x100 + sizeof(T);
    const bool is_signed = std::is_signed_v<T> || std::is_same_v<T, Int128>;
    return (is_signed ? 0x200U : 0x300U) + sizeof(T);
  } else if constexpr (kind == Kind::c_array) {
    return mix(0x400, std::extent_v<T>);
  } else if constexpr (kind == Kind::array) {
    return mix(0x400, std::tuple_size<T>::value);
  } else if constexpr (kind == Kind::duration) {
    return mix(mix(0x500, static_cast<std::uint64_t>(T::period::num)), static_cast<std::uint64_t>(T::period::den));
  } else if constexpr (kind == Kind::bits) {
    return mix(0x600, T{}.size());
  } else if constexpr (kind == Kind::tuple || kind == Kind::aggregate || kind == Kind::complex) {
    return 0x700;
  } else if constexpr (kind == Kind::sequence && PackedBools<T>) {
    return 0xa00;
  } else if constexpr (kind == Kind::view || kind == Kind::valarray) {
    return 0x800 + static_cast<std::uint64_t>(Kind::sequence);
  } else if constexpr (kind == Kind::pointer) {
    return 0x800 + static_cast<std::uint64_t>(Kind::optional);
  } else {
    return 0x800 + static_cast<std::uint64_t>(kind);
  }
}

template <class T>
constexpr std::uint64_t hash_walk([[maybe_unused]] const Chain* chain) {
  if constexpr (kKind<T> == Kind::enumeration) {
    return hash_walk<std::underlying_type_t<T>>(chain);
  } else {
    if (const std::size_t steps = position_in(chain, kTypeTag<T>); steps != 0) return mix(0x900, steps);
    const Chain here{kTypeTag<T>, chain};
    return hash_all(children<T>(), mix(0, hash_seed<T>()), &here);
  }
}

}  // namespace brood::detail

namespace brood::wire {

template <class T>
constexpr std::uint64_t type_hash() {
  constexpr std::uint64_t hash = detail::hash_walk<std::remove_cvref_t<T>>(nullptr);
  return hash;
}

}  // namespace brood::wire
