// Values to bytes and back.
//
// What can be archived, with nothing to write for it:
//   - bool, integers (also 128 bit), characters, floating point, enums, std::byte;
//   - C arrays, std::array, std::pair, std::tuple, std::complex, std::bitset, std::chrono durations and time points;
//   - every standard container, std::string and its kin, std::filesystem::path, std::stack, std::queue,
//     std::priority_queue, std::valarray;
//   - std::optional, std::variant, std::expected, and std::unique_ptr and std::shared_ptr, which stand for the value
//     they own: two shared_ptr to one object arrive as two objects;
//   - plain aggregates of these with up to 32 members, move-only ones as well;
//   - types from other libraries that are shaped like these.
// Any other class says what it consists of, as for cereal and Boost.Serialization:
//
//   class Account {
//     friend class brood::Access;  // when serialize() or the default constructor is private
//     template <class A>
//     void serialize(A& archive) {
//       archive(owner_, balance_);  // or: archive & owner_ & balance_;
//     }
//   };
//
// or, when it cannot be changed, a function beside it:
//
//   template <class A>
//   void serialize(A& archive, Account& account);
//
// A::is_saving::value and A::is_loading::value tell the direction. Loading needs a default constructor, which may be
// private; a plain aggregate needs none, not even of its members. An aggregate with bit-fields, anonymous unions or
// base classes needs serialize(). Pointers, references, std::function, and views (on load) are compile-time errors that
// say what to use instead.
//
// Bytes are not trusted. Truncated, foreign or hostile ones end in an ArchiveError, never in undefined behaviour or in
// an allocation out of proportion to the input; a key that occurs twice in a map or set is such an error; values nested
// deeper than 1000 levels are refused, by both sides.
//
// The encoding: little-endian, no padding, memory order; lengths take one byte below 240. It is meant for processes of
// the same program, not for files that outlive it: adding a member to a type changes its encoding.
//
// Thread safety: a Writer or Reader is used by one thread at a time. Across fork: plain memory, nothing to do.
#pragma once

#include <brood/detail/archive_bytes.hpp>
#include <brood/detail/archive_kinds.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace brood::wire {

// Appends `value` to what `writer` holds. Throws what the allocation or the value's own serialize() throws, and
// ArchiveError for a value that has no encoding (a valueless variant, nesting beyond kMaxDepth). After a throw the
// Writer holds a part of the value.
template <class T>
void save(Writer& writer, const T& value);

// The next value of `reader`, which must be of the type that was saved, or of one with the same type_hash().
template <class T>
T load(Reader& reader);

// The same into a value that exists. After a throw it is valid, but unspecified.
template <class T>
void load_into(Reader& reader, T& value);

// Whether save<T>() and load<T>() compile. The body of a user's serialize() is not looked into.
template <class T>
constexpr bool is_archivable();
template <class T>
concept Archivable = is_archivable<std::remove_cvref_t<T>>();
// The same for save() alone, which also takes views and types that cannot be constructed from nothing.
template <class T>
constexpr bool is_savable();

// Compiles when T is Archivable; otherwise the error says why it is not and what to do.
template <class T>
constexpr void explain();

// A number that is equal for types with equal structure, whatever their names: int and long long differ, a struct
// {int, double} and a std::pair<int, double> do not. A type with serialize() counts as such, whatever is in it.
template <class T>
constexpr std::uint64_t type_hash();

// Throws ArchiveError when the bytes do not start with this hash.
void check_type_hash(Reader& reader, std::uint64_t expected);

}  // namespace brood::wire

namespace brood {

// The value as bytes that from_bytes() of an equally structured type accepts.
template <class T>
std::string to_bytes(const T& value) {
  wire::Writer writer;
  writer.put(wire::type_hash<T>());
  wire::save(writer, value);
  return writer.take_string();
}

// Throws ArchiveError unless the bytes are exactly what to_bytes() made of such a value.
template <class T>
T from_bytes(std::span<const std::byte> bytes) {
  wire::Reader reader(bytes);
  wire::check_type_hash(reader, wire::type_hash<T>());
  T value = wire::load<T>(reader);
  reader.finish();
  return value;
}
template <class T>
T from_bytes(std::string_view bytes) {
  return from_bytes<T>(std::as_bytes(std::span(bytes.data(), bytes.size())));
}

}  // namespace brood

#include <brood/detail/archive_containers.hpp>
#include <brood/detail/archive_explain.hpp>
#include <brood/detail/archive_parts.hpp>

namespace brood::wire {

template <class... T>
Writer& Writer::operator()(const T&... values) {
  (wire::save(*this, values), ...);
  return *this;
}

template <class... T>
Reader& Reader::operator()(T&... values) {
  (wire::load_into(*this, values), ...);
  return *this;
}

}  // namespace brood::wire
