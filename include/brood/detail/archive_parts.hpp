// Encodings of values that consist of other values: aggregates, tuples, arrays, and what may or may not hold something.
#pragma once

#include <brood/detail/archive_codec.hpp>

#include <cstddef>
#include <type_traits>
#include <utility>

namespace brood::detail {

// --- always the same parts ------------------------------------------------------------------------------------------

template <class T, class... M>
T make_from(Reader& reader, Types<M...>) {
  return T{detail::make_one<std::remove_const_t<M>>(reader)...};  // braces: in order
}

template <>
struct Codec<Kind::aggregate> {
  template <class T>
  static void save(Writer& writer, const T& value) {
    detail::with_members(value, [&](const auto&... member) { (save_part(writer, member), ...); });
  }
  template <class T>
  static void load(Reader& reader, T& value) {
    detail::with_members(value, [&](auto&... member) { (detail::fill_one(reader, member), ...); });
  }
  template <class T>
  static T make(Reader& reader) {
    return detail::make_from<T>(reader, MembersOf<T>{});
  }

 private:
  template <class M>
  static void save_part(Writer& writer, const M& member) {
    detail::save_one<M>(writer, member);
  }
};

template <>
struct Codec<Kind::tuple> {
  template <class T>
  static void save(Writer& writer, const T& value) {
    save_each(writer, value, std::make_index_sequence<std::tuple_size<T>::value>{});
  }
  template <class T>
  static void load(Reader& reader, T& value) {
    fill_each(reader, value, std::make_index_sequence<std::tuple_size<T>::value>{});
  }
  template <class T>
  static T make(Reader& reader) {
    return detail::make_from<T>(reader, ElementsOf<T>{});
  }

 private:
  template <class T, std::size_t... I>
  static void save_each(Writer& writer, const T& value, std::index_sequence<I...>) {
    (detail::save_one<std::remove_const_t<std::tuple_element_t<I, T>>>(writer, get<I>(value)), ...);
  }
  template <class T, std::size_t... I>
  static void fill_each(Reader& reader, T& value, std::index_sequence<I...>) {
    (detail::fill_one<std::tuple_element_t<I, T>>(reader, get<I>(value)), ...);
  }
};

template <>
struct Codec<Kind::c_array> {
  template <class T, std::size_t N>
  static void save(Writer& writer, const T (&array)[N]) {
    for (const T& element : array) detail::save_one<T>(writer, element);
  }
  template <class T, std::size_t N>
  static void load(Reader& reader, T (&array)[N]) {
    for (T& element : array) detail::fill_one<T>(reader, element);
  }
};

template <>
struct Codec<Kind::array> {
  template <class T>
  static void save(Writer& writer, const T& array) {
    for (const auto& element : array) detail::save_one<typename T::value_type>(writer, element);
  }
  template <class T>
  static void load(Reader& reader, T& array) {
    for (auto& element : array) detail::fill_one<typename T::value_type>(reader, element);
  }
  template <class T>
  static T make(Reader& reader) {
    return make_each<T>(reader, std::make_index_sequence<std::tuple_size<T>::value>{});
  }

 private:
  template <class T, std::size_t... I>
  static T make_each(Reader& reader, std::index_sequence<I...>) {
    return T{{(static_cast<void>(I), detail::make_one<typename T::value_type>(reader))...}};
  }
};

template <>
struct Codec<Kind::custom> {
  template <class T>
  static void save(Writer& writer, const T& value) {
    const ReferencesOff off(writer);     // what serialize() writes may be a temporary
    run(writer, const_cast<T&>(value));  // serialize() is one function for both directions, so it is not const
  }
  template <class T>
  static void load(Reader& reader, T& value) {
    run(reader, value);
  }

 private:
  template <class A, class T>
  static void run(A& archive, T& value) {
    if constexpr (requires { Access::serialize(archive, value); }) {
      Access::serialize(archive, value);
    } else {
      serialize(archive, value);
    }
  }
};

template <>
struct Codec<Kind::bits> {
  template <class T>
  static void save(Writer& writer, const T& bits) {
    for (std::size_t i = 0; i < bits.size(); i += 8) {
      unsigned byte = 0;
      for (std::size_t k = 0; k < 8 && i + k < bits.size(); ++k) byte |= static_cast<unsigned>(bits[i + k]) << k;
      *writer.extend(1) = static_cast<std::byte>(byte);
    }
    if (bits.size() == 0) *writer.extend(1) = std::byte{0};
  }
  template <class T>
  static void load(Reader& reader, T& bits) {
    if (bits.size() == 0) reader.get<unsigned char>();
    for (std::size_t i = 0; i < bits.size(); i += 8) {
      unsigned byte = reader.get<unsigned char>();
      for (std::size_t k = 0; k < 8 && i + k < bits.size(); ++k, byte >>= 1) bits.set(i + k, (byte & 1U) != 0);
      if (byte != 0) reader.fail("bits beyond the end of a bitset");
    }
  }
};

// --- one of several, or nothing -------------------------------------------------------------------------------------

inline bool load_flag(Reader& reader) {
  const auto flag = reader.get<unsigned char>();
  if (flag > 1) reader.fail("a presence flag that is neither 0 nor 1");
  return flag == 1;
}

template <>
struct Codec<Kind::optional> {
  template <class T>
  static void save(Writer& writer, const T& value) {
    writer.put(static_cast<unsigned char>(value.has_value()));
    if (value.has_value()) detail::save_one<typename T::value_type>(writer, *value);
  }
  template <class T>
  static void load(Reader& reader, T& value) {
    using V = typename T::value_type;
    value.reset();
    if (!load_flag(reader)) return;
    if constexpr (std::is_default_constructible_v<V> && !kMadeFromParts<V>) {
      detail::fill_one<V>(reader, value.emplace());
    } else {
      value.emplace(detail::make_one<V>(reader));
    }
  }
};

template <>
struct Codec<Kind::pointer> {
  template <class T>
  static void save(Writer& writer, const T& pointer) {
    writer.put(static_cast<unsigned char>(pointer.get() != nullptr));
    if (pointer.get() != nullptr) detail::save_one<std::remove_const_t<typename T::element_type>>(writer, *pointer);
  }
  template <class T>
  static T make(Reader& reader) {
    using E = std::remove_const_t<typename T::element_type>;
    return load_flag(reader) ? T(new E(detail::make_one<E>(reader))) : T();
  }
};

template <>
struct Codec<Kind::variant> {
  template <class T>
  static void save(Writer& writer, const T& value) {
    if (value.valueless_by_exception()) Writer::fail("a variant that is valueless by exception");
    const auto index = static_cast<std::size_t>(value.index());
    writer.put_length(index);
    save_held(writer, value, index, AlternativesOf<T>{}, std::make_index_sequence<AlternativesOf<T>::kSize>{});
  }
  template <class T>
  static T make(Reader& reader) {
    const std::size_t index = reader.get_length(0);
    if (index >= AlternativesOf<T>::kSize) reader.fail("an alternative that the variant does not have");
    return make_held<T, 0>(reader, index, AlternativesOf<T>{});
  }

 private:
  template <class T, class... A, std::size_t... I>
  static void save_held(Writer& writer, const T& value, std::size_t index, Types<A...>, std::index_sequence<I...>) {
    static_cast<void>(((index == I && (detail::save_one<A>(writer, get<I>(value)), true)) || ...));
  }
  template <class T, std::size_t I, class First, class... Rest>
  static T make_held(Reader& reader, std::size_t index, Types<First, Rest...>) {
    if constexpr (sizeof...(Rest) != 0) {
      if (index != I) return make_held<T, I + 1>(reader, index, Types<Rest...>{});
    }
    return T(std::in_place_index<I>, detail::make_one<First>(reader));
  }
};

template <>
struct Codec<Kind::expected> {
  template <class T>
  static void save(Writer& writer, const T& value) {
    writer.put(static_cast<unsigned char>(value.has_value()));
    if (!value.has_value()) {
      detail::save_one<typename T::error_type>(writer, value.error());
    } else if constexpr (!std::is_void_v<typename T::value_type>) {
      detail::save_one<typename T::value_type>(writer, *value);
    }
  }
  template <class T>
  static T make(Reader& reader) {
    using V = typename T::value_type;
    using E = typename T::error_type;
    if (!load_flag(reader)) return T(typename T::unexpected_type(detail::make_one<E>(reader)));
    if constexpr (std::is_void_v<V>) {
      return T();
    } else {
      return T(std::in_place, detail::make_one<V>(reader));
    }
  }
};

}  // namespace brood::detail
