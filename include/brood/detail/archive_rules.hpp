// Which types can be saved and loaded, and by which way a value is loaded.
#pragma once

#include <brood/detail/archive_walk.hpp>

#include <type_traits>

namespace brood::detail {

template <class T>
concept Makeable = requires {
  Access::make<T>();
};

// Whether an existing value can be filled part by part: nothing in it is const.
template <class T>
constexpr bool is_fillable();

template <class... C>
constexpr bool all_fillable(Types<C...>) {
  return (is_fillable<C>() && ...);
}

template <class T>
constexpr bool is_fillable() {
  if constexpr (std::is_const_v<T>) {
    return false;
  } else if constexpr (kKind<T> == Kind::aggregate || kKind<T> == Kind::tuple || kKind<T> == Kind::c_array ||
                       kKind<T> == Kind::array) {
    return all_fillable(children<T>());
  } else {
    return true;
  }
}

template <class T>
inline constexpr bool kFillable = is_fillable<T>();

// Whether a new value is made from its loaded parts instead of being default constructed and filled.
template <class T>
constexpr bool is_made_from_parts() {
  if constexpr (kKind<T> == Kind::pointer || kKind<T> == Kind::variant || kKind<T> == Kind::expected) {
    return true;
  } else if constexpr (kKind<T> == Kind::aggregate || kKind<T> == Kind::tuple || kKind<T> == Kind::array) {
    return !std::is_default_constructible_v<T> || !kFillable<T>;
  } else {
    return false;
  }
}

template <class T>
inline constexpr bool kMadeFromParts = is_made_from_parts<T>();

// --- what is supported ----------------------------------------------------------------------------------------------

enum class Use {
  save,
  make,  // load() makes a new value
  fill,  // load() fills a value that exists
};

template <class T>
constexpr bool supported(Use use, const Chain* chain = nullptr);

// How the parts of a T are used when it is used so.
template <class T>
constexpr Use use_of_parts(Use use) {
  if (use == Use::save) return Use::save;
  constexpr Kind kind = kKind<T>;
  constexpr bool has_all_parts = kind == Kind::aggregate || kind == Kind::tuple || kind == Kind::array ||
                                 kind == Kind::c_array || kind == Kind::adaptor;
  return has_all_parts && kFillable<T> && (use == Use::fill || !kMadeFromParts<T>) ? Use::fill : Use::make;
}

// T itself; its parts are another question.
template <class T>
constexpr bool supported_alone(Use use) {
  constexpr Kind kind = kKind<T>;
  if constexpr (kind == Kind::unsupported) {
    return false;
  } else if constexpr (kind == Kind::view) {
    return use == Use::save;
  } else if constexpr (kMadeFromParts<T>) {
    return true;
  } else if constexpr (kind == Kind::c_array) {
    return use != Use::make;
  } else {
    return use != Use::make || (Makeable<T> && std::is_move_constructible_v<T>);
  }
}

template <class... C>
constexpr bool all_supported(Types<C...>, [[maybe_unused]] Use use, [[maybe_unused]] const Chain* chain) {
  return (supported<std::remove_const_t<C>>(use, chain) && ...);
}

template <class T>
constexpr bool supported(Use use, const Chain* chain) {
  if constexpr (kKind<T> == Kind::number) {
    return true;
  } else {
    if (!supported_alone<T>(use)) return false;
    if (position_in(chain, kTypeTag<T>) != 0) return true;
    const Chain here{kTypeTag<T>, chain};
    return all_supported(children<T>(), use_of_parts<T>(use), &here);
  }
}

}  // namespace brood::detail

namespace brood::wire {

template <class T>
constexpr bool is_archivable() {
  return detail::supported<T>(detail::Use::save) && detail::supported<T>(detail::Use::make);
}

template <class T>
constexpr bool is_savable() {
  return detail::supported<T>(detail::Use::save);
}

}  // namespace brood::wire
