// Encodings of containers: a length, then the elements.
#pragma once

#include <brood/detail/archive_codec.hpp>

#include <cstddef>
#include <cstring>
#include <type_traits>
#include <utility>
#include <vector>

namespace brood::detail {

template <class T>
inline constexpr std::size_t kSmallestSize = kFixedSize<T> != 0 ? kFixedSize<T> : 1;

template <class T>
std::size_t count_elements(const T& range) {
  if constexpr (requires { range.size(); }) {
    return static_cast<std::size_t>(range.size());
  } else {
    std::size_t count = 0;
    for (auto it = range.begin(); it != range.end(); ++it) ++count;
    return count;
  }
}

// Elements whose memory, one after the other, is their encoding.
template <class T>
concept Block = Contiguous<T> && kBulk<typename T::value_type>;

// Calls save(writer, element) for each element. Those of some containers are temporaries.
template <class T, class F>
void save_each(Writer& writer, const T& range, F save) {
  if constexpr (std::is_reference_v<decltype(*range.begin())>) {
    for (const auto& element : range) save(writer, element);
  } else {
    const ReferencesOff off(writer);
    for (const auto& element : range) save(writer, element);
  }
}

template <class T>
void save_packed(Writer& writer, const T& bools) {
  unsigned bits = 0, count = 0;
  for (bool bit : bools) {
    bits |= static_cast<unsigned>(bit) << count;
    if (++count == 8) {
      *writer.extend(1) = static_cast<std::byte>(bits);
      bits = count = 0;
    }
  }
  if (count != 0) *writer.extend(1) = static_cast<std::byte>(bits);
}

template <class T>
void save_elements(Writer& writer, const T& range) {
  const std::size_t length = detail::count_elements(range);
  if constexpr (Block<T>) {
    writer.put_length(length);
    writer.write_stable(range.data(), length * sizeof(typename T::value_type));
  } else if constexpr (PackedBools<T>) {
    writer.put_length(length);
    detail::save_packed(writer, range);
  } else {
    writer.put_length(length);
    save_each(writer, range,
              [](Writer& to, const auto& element) { detail::save_one<typename T::value_type>(to, element); });
  }
}

// Reserves what `length` elements need, or as much as the bytes that are left make believable. (An element may be
// thousands of times larger in memory than its encoding.)
template <class T>
void reserve(const Reader& reader, T& range, std::size_t length) {
  if constexpr (requires { range.reserve(length); }) {
    const std::uint64_t believable = reader.remaining() / sizeof(typename T::value_type) * 8 + 8;
    range.reserve(length < believable ? length : static_cast<std::size_t>(believable));
  }
}

// Appends in steps that stay in the cache: growing clears the new elements first, which costs next to nothing there.
template <class T>
void load_block(Reader& reader, T& range, std::size_t length) {
  using E = typename T::value_type;
  constexpr std::size_t kStep = sizeof(E) < 8192 ? 8192 / sizeof(E) : 1;
  range.reserve(length);
  if (length >= wire::kLargeBytes / sizeof(E)) wire::prepare_large(range.data(), length * sizeof(E));
  for (std::size_t done = 0; done < length;) {
    const std::size_t step = length - done < kStep ? length - done : kStep;
    range.resize(done + step);
    reader.read(static_cast<void*>(range.data() + done), step * sizeof(E));
    done += step;
  }
}

template <class T>
void append_characters(Reader& reader, T& range, std::size_t left) {
  range.reserve(range.size() + left);
  while (left != 0) {
    const auto some = reader.take_some(left);
    const auto* data = reinterpret_cast<const typename T::value_type*>(some.data());
    range.insert(range.end(), data, data + some.size());
    left -= some.size();
  }
}

template <class T>
void load_characters(Reader& reader, T& range, std::size_t length) {
  const auto some = reader.take_some(length);
  const auto* data = reinterpret_cast<const typename T::value_type*>(some.data());
  if constexpr (requires { range.assign(data, length); }) {
    range.assign(data, some.size());
  } else {
    range.assign(data, data + some.size());
  }
  if (some.size() != length) [[unlikely]]
    detail::append_characters(reader, range, length - some.size());
}

template <class T>
void load_packed(Reader& reader, T& bools, std::size_t length) {
  for (std::size_t done = 0; done < length;) {
    unsigned bits = reader.get<unsigned char>();
    for (unsigned i = 0; i < 8 && done < length; ++i, ++done, bits >>= 1) bools.push_back((bits & 1U) != 0);
    if (bits != 0) reader.fail("bits beyond the end of a vector<bool>");
  }
}

template <class T>
void load_growing(Reader& reader, T& range, std::size_t length) {
  using E = typename T::value_type;
  detail::reserve(reader, range, length);
  for (; length != 0; --length) {
    if constexpr (std::is_default_constructible_v<E> && !kMadeFromParts<E> && requires { range.emplace_back(); }) {
      detail::fill_one<E>(reader, range.emplace_back());
    } else {
      range.push_back(detail::make_one<E>(reader));
    }
  }
}

template <>
struct Codec<Kind::sequence> {
  template <class T>
  static void save(Writer& writer, const T& range) {
    detail::save_elements(writer, range);
  }

  // Only for Characters.
  template <class T>
  static T make(Reader& reader) {
    const std::size_t length = reader.get_length();
    if (length == 0) return T();
    const auto some = reader.take_some(length);
    T text(reinterpret_cast<const typename T::value_type*>(some.data()), some.size());
    if (some.size() != length) [[unlikely]]
      detail::append_characters(reader, text, length - some.size());
    return text;
  }

  template <class T>
  static void load(Reader& reader, T& range) {
    using E = typename T::value_type;
    if constexpr (Block<T>) {
      const std::size_t length = reader.get_length(sizeof(E));
      range.clear();
      if (length == 0) return;
      if constexpr (sizeof(E) == 1 && (std::is_integral_v<E> || std::is_same_v<E, std::byte>)) {
        detail::load_characters(reader, range, length);
      } else {
        detail::load_block(reader, range, length);
      }
    } else if constexpr (PackedBools<T>) {
      const std::size_t length = reader.get_bits_length();
      range.clear();
      detail::load_packed(reader, range, length);
    } else {
      std::size_t length = reader.get_length(kSmallestSize<E>);
      range.clear();
      if constexpr (BackGrowing<T>) {
        detail::load_growing(reader, range, length);
      } else {
        for (auto last = range.before_begin(); length != 0; --length) {
          last = range.insert_after(last, detail::make_one<E>(reader));
        }
      }
    }
  }
};

template <>
struct Codec<Kind::view> {
  template <class T>
  static void save(Writer& writer, const T& range) {
    detail::save_elements(writer, range);
  }
};

template <>
struct Codec<Kind::set> {
  template <class T>
  static void save(Writer& writer, const T& set) {
    writer.put_length(detail::count_elements(set));
    save_each(writer, set, [](Writer& to, const auto& key) { detail::save_one<typename T::key_type>(to, key); });
  }

  template <class T>
  static void load(Reader& reader, T& set) {
    using K = typename T::key_type;
    const std::size_t length = reader.get_length(kSmallestSize<K>);
    set.clear();
    detail::reserve(reader, set, length);
    for (std::size_t i = 0; i != length; ++i) {
      set.emplace_hint(set.end(), detail::make_one<K>(reader));
      if (set.size() != i + 1) reader.fail("a key that occurs twice");
    }
  }
};

template <>
struct Codec<Kind::map> {
  template <class T>
  static void save(Writer& writer, const T& map) {
    writer.put_length(detail::count_elements(map));
    save_each(writer, map, [](Writer& to, const auto& item) {
      detail::save_one<typename T::key_type>(to, item.first);
      detail::save_one<typename T::mapped_type>(to, item.second);
    });
  }

  template <class T>
  static void load(Reader& reader, T& map) {
    using K = typename T::key_type;
    using M = typename T::mapped_type;
    const std::size_t length = reader.get_length(kSmallestSize<K> + kSmallestSize<M>);
    map.clear();
    detail::reserve(reader, map, length);
    for (std::size_t i = 0; i != length; ++i) {
      K key = detail::make_one<K>(reader);
      map.emplace_hint(map.end(), std::move(key), detail::make_one<M>(reader));
      if (map.size() != i + 1) reader.fail("a key that occurs twice");
    }
  }
};

template <>
struct Codec<Kind::valarray> {
  template <class T>
  static void save(Writer& writer, const T& array) {
    writer.put_length(array.size());
    for (std::size_t i = 0; i != array.size(); ++i) detail::save_one<typename T::value_type>(writer, array[i]);
  }

  // By way of a vector, which grows with what has arrived.
  template <class T>
  static void load(Reader& reader, T& array) {
    std::vector<typename T::value_type> elements;
    detail::fill_one(reader, elements);
    array.resize(elements.size());
    for (std::size_t i = 0; i != elements.size(); ++i) array[i] = std::move(elements[i]);
  }
};

template <>
struct Codec<Kind::path> {
  template <class T>
  static void save(Writer& writer, const T& path) {
    detail::save_one<typename T::string_type>(writer, path.native());
  }

  template <class T>
  static void load(Reader& reader, T& path) {
    path = T(detail::make_one<typename T::string_type>(reader));
  }
};

// The member that std::stack, std::queue and std::priority_queue keep their elements in is protected by name.
template <class T>
struct AdaptorPeek : T {
  static auto& container(T& adaptor) { return adaptor.*(&AdaptorPeek::c); }
  static const auto& container(const T& adaptor) { return adaptor.*(&AdaptorPeek::c); }
};

template <>
struct Codec<Kind::adaptor> {
  template <class T>
  static void save(Writer& writer, const T& adaptor) {
    detail::save_one<typename T::container_type>(writer, AdaptorPeek<T>::container(adaptor));
  }

  template <class T>
  static void load(Reader& reader, T& adaptor) {
    detail::fill_one<typename T::container_type>(reader, AdaptorPeek<T>::container(adaptor));
  }
};

}  // namespace brood::detail
