// save(), load() and load_into(), and how each is chosen for a type.
#pragma once

#include <brood/detail/archive_rules.hpp>

#include <cstddef>
#include <type_traits>
#include <utility>

namespace brood::detail {

using wire::Reader;
using wire::Writer;

// One specialization per kind whose encoding has no fixed size:
//   save(Writer&, const T&)      load(Reader&, T&) into a value that exists      make<T>(Reader&) a new value
// with load() or make() or both.
template <Kind K>
struct Codec;

// Text: constructed in one go from where it lies.
template <class T>
concept Characters = kKind<T>
== Kind::sequence&& Contiguous<T> && sizeof(typename T::value_type) == 1 &&
    requires(T& text, const typename T::value_type* data) {
  T(data, std::size_t{});
  text.assign(data, std::size_t{});
  text.c_str();
};

// While a temporary is saved, which cannot be referred to later.
class ReferencesOff {
 public:
  explicit ReferencesOff(Writer& writer) : writer_(writer), before_(writer.references_allowed()) {
    writer.allow_references(false);
  }
  ~ReferencesOff() { writer_.allow_references(before_); }
  ReferencesOff(const ReferencesOff&) = delete;
  ReferencesOff& operator=(const ReferencesOff&) = delete;

 private:
  Writer& writer_;
  bool before_;
};

struct BadValue {
  const Reader& reader;
  [[noreturn]] void operator()(const char* why) const { reader.fail(why); }
};

template <class T>
void save_one(Writer& writer, const T& value) {
  if constexpr (kBulk<T> && sizeof(T) >= Writer::kReferenceBytes) {
    writer.write_stable(__builtin_addressof(value), sizeof(T));
  } else if constexpr (kBulk<T> || kFixed<T>) {
    detail::encode(writer.extend(kFixedSize<T>), value);
  } else if constexpr (kCountsLevel<T>) {
    const Writer::Level level(writer);
    Codec<kKind<T>>::save(writer, value);
  } else {
    Codec<kKind<T>>::save(writer, value);
  }
}

template <class T>
T make_one(Reader& reader);

template <class T>
void replace(T& value, T&& fresh) {  // T is not deduced from `fresh`: always an rvalue
  if constexpr (std::is_move_assignable_v<T>) {
    value = static_cast<T&&>(fresh);
  } else {
    static_assert(std::is_nothrow_move_constructible_v<T>,
                  "brood: a value with const members can only be loaded into when its move constructor is noexcept");
    value.~T();
    ::new (static_cast<void*>(__builtin_addressof(value))) T(static_cast<T&&>(fresh));
  }
}

template <class T>
void fill_one(Reader& reader, T& value) {
  if constexpr (!kFillable<T>) {
    detail::replace(value, detail::make_one<T>(reader));
  } else if constexpr (kBulk<T>) {
    reader.read(static_cast<void*>(__builtin_addressof(value)), sizeof(T));
  } else if constexpr (kFixed<T>) {
    std::byte scratch[kFixedSize<T>];
    detail::decode(reader.take(kFixedSize<T>, scratch), value, BadValue{reader});
  } else if constexpr (kMadeFromParts<T> && !requires { Codec<kKind<T>>::load(reader, value); }) {
    detail::replace(value, detail::make_one<T>(reader));
  } else if constexpr (kCountsLevel<T>) {
    const Reader::Level level(reader);
    Codec<kKind<T>>::load(reader, value);
  } else {
    Codec<kKind<T>>::load(reader, value);
  }
}

template <class T>
T make_one(Reader& reader) {
  if constexpr (kMadeFromParts<T>) {
    if constexpr (kCountsLevel<T>) {
      const Reader::Level level(reader);
      return Codec<kKind<T>>::template make<T>(reader);
    } else {
      return Codec<kKind<T>>::template make<T>(reader);
    }
  } else if constexpr (kKind<T> == Kind::aggregate || kKind<T> == Kind::array || kKind<T> == Kind::number) {
    T value;  // not cleared: every member is about to be set
    detail::fill_one(reader, value);
    return value;
  } else if constexpr (Characters<T>) {
    return Codec<kKind<T>>::template make<T>(reader);
  } else {
    T value = Access::make<T>();
    detail::fill_one(reader, value);
    return value;
  }
}

}  // namespace brood::detail
