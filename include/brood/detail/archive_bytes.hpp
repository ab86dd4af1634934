// The two ends that bytes go through: Writer for save(), Reader for load(). Nothing here knows about types.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

namespace brood::wire {

// Nesting that is refused.
inline constexpr unsigned kMaxDepth = 1000;

// Memory of at least this size that is about to be filled goes through prepare_large(), which calls what was set last:
// the place for advice to the system's memory manager. Thread safety: all.
inline constexpr std::size_t kLargeBytes = std::size_t{4} << 20U;
void set_large_advice(void (*advice)(void* data, std::size_t bytes) noexcept) noexcept;
void prepare_large(void* data, std::size_t bytes) noexcept;

// The receiving end of save(). Bytes go into a window of the caller's and, once they do not fit there, into a buffer of
// the Writer's own, to which those in the window are moved.
class Writer {
 public:
  using is_saving = std::true_type;
  using is_loading = std::false_type;

  // No window: own buffer, allocated at the first write.
  Writer() noexcept = default;
  // `window` must live as long as it is written to; it holds the bytes as long as in_window().
  explicit Writer(std::span<std::byte> window) noexcept
      : begin_(window.data()), cur_(window.data()), end_(window.data() + window.size()) {}
  ~Writer() {
    if (own_ != nullptr) release();
  }
  Writer(Writer&& other) noexcept { swap(other); }
  Writer& operator=(Writer&& other) noexcept {
    swap(other);
    return *this;
  }

  void write(const void* data, std::size_t size) {
    if (room() < size) [[unlikely]] {
      return write_slow(data, size);
    }
    if (size != 0) std::memcpy(cur_, data, size);
    cur_ += size;
  }

  template <class T>
  requires std::is_arithmetic_v<T>
  void put(T value) { std::memcpy(extend(sizeof(T)), &value, sizeof(T)); }

  // Like write(). But when references are allowed and there are at least kReferenceBytes, only the place of the bytes
  // is kept, and they must stay as they are until the Writer's content has been used.
  void write_stable(const void* data, std::size_t size) {
    if (size >= kReferenceBytes && references_) [[unlikely]] {
      return refer(data, size);
    }
    write(data, size);
  }
  static constexpr std::size_t kReferenceBytes = 64 * 1024;

  // Off at first. Whoever allows it promises that what is saved outlives the use of pieces().
  void allow_references(bool allow) noexcept { references_ = allow; }
  bool references_allowed() const noexcept { return references_; }

  // Room for `size` bytes side by side, which the caller fills.
  std::byte* extend(std::size_t size) {
    if (room() < size) [[unlikely]] {
      grow(size);
    }
    std::byte* at = cur_;
    cur_ += size;
    return at;
  }

  // The number of elements that follow: one byte below 240, else 5 or 9.
  void put_length(std::size_t length) {
    if (length < kLongLength) [[likely]] {
      *extend(1) = static_cast<std::byte>(length);
    } else {
      put_long_length(length);
    }
  }
  static constexpr std::size_t kLongLength = 240;

  // All bytes written, those referred to included.
  std::uint64_t size() const noexcept { return static_cast<std::uint64_t>(cur_ - begin_) + referred_; }
  // Everything is in the window: nothing spilled, nothing referred to.
  bool in_window() const noexcept { return !spilled_ && referred_ == 0; }
  // The window was too small: the bytes are in the Writer's own buffer.
  bool spilled() const noexcept { return spilled_; }
  // Where the next byte goes. Valid until the next write.
  std::byte* position() const noexcept { return cur_; }

  // The content in order. Valid until the Writer changes or ends, and for references as long as what they refer to.
  std::vector<std::span<const std::byte>> pieces() const;
  void append_to(std::string& out) const;
  void append_to(std::vector<std::byte>& out) const;
  // The content; the Writer is empty afterwards.
  std::string take_string();
  std::vector<std::byte> take();

  // Forgets the content and starts again in `window` (or, without one, in the buffer it has).
  void reset(std::span<std::byte> window) noexcept;
  void reset() noexcept;
  // Forgets what was written after size() was `size`. A reference that began before it cannot be cut.
  void truncate(std::uint64_t size) noexcept;

  // For serialize(): archive(a, b), archive & a & b, archive << a << b.
  template <class... T>
  Writer& operator()(const T&... values);
  template <class T>
  Writer& operator&(const T& value) {
    return (*this)(value);
  }
  template <class T>
  Writer& operator<<(const T& value) {
    return (*this)(value);
  }

  // One level of nesting; throws ArchiveError beyond kMaxDepth.
  class Level {
   public:
    explicit Level(Writer& writer) : writer_(writer) {
      if (writer.depth_ >= kMaxDepth) too_deep();
      ++writer.depth_;
    }
    ~Level() { --writer_.depth_; }
    Level(const Level&) = delete;
    Level& operator=(const Level&) = delete;

   private:
    Writer& writer_;
  };

  [[noreturn]] static void fail(const char* why);

 private:
  struct Own;  // the buffer and the references: what most Writers never need

  std::size_t room() const noexcept { return static_cast<std::size_t>(end_ - cur_); }
  void write_slow(const void* data, std::size_t size);
  void grow(std::size_t size);
  void refer(const void* data, std::size_t size);
  void put_long_length(std::size_t length);
  Own& own();
  void release() noexcept;
  void swap(Writer& other) noexcept;
  [[noreturn]] static void too_deep();

  std::byte* begin_ = nullptr;
  std::byte* cur_ = nullptr;
  std::byte* end_ = nullptr;
  Own* own_ = nullptr;
  std::uint64_t referred_ = 0;  // bytes in references
  unsigned depth_ = 0;
  bool references_ = false;
  bool spilled_ = false;  // begin_ is in the own buffer
};

// Where a Reader gets its bytes when they are not all in memory at once.
class Source {
 public:
  // The bytes that follow those of the last call, at least one. Blocks until there are some; throws when there will be
  // none. They stay valid until the next call.
  virtual std::span<const std::byte> next() = 0;

 protected:
  ~Source() = default;
};

// The giving end of load(). Every failure is an ArchiveError.
class Reader {
 public:
  using is_saving = std::false_type;
  using is_loading = std::true_type;

  // All bytes are here; they must outlive the Reader.
  explicit Reader(std::span<const std::byte> bytes) noexcept
      : begin_(bytes.data()), cur_(bytes.data()), end_(bytes.data() + bytes.size()) {}
  // `total` bytes in all: `first`, then what `source` gives. Bytes of the source past `total` are not looked at.
  Reader(std::span<const std::byte> first, std::uint64_t total, Source& source) noexcept;

  void read(void* data, std::size_t size) {
    if (window() < size) [[unlikely]] {
      return read_slow(data, size);
    }
    if (size != 0) std::memcpy(data, cur_, size);
    cur_ += size;
  }

  template <class T>
  requires std::is_arithmetic_v<T> T get() {
    if constexpr (std::is_same_v<T, bool>) {
      const auto byte = get<unsigned char>();
      if (byte > 1) fail("a bool that is neither 0 nor 1");
      return byte == 1;
    } else {
      T value;
      read(&value, sizeof(T));
      return value;
    }
  }

  // The next `size` bytes side by side: where they are, or copied to `scratch` when a window ends within them.
  const std::byte* take(std::size_t size, std::byte* scratch) {
    if (window() < size) [[unlikely]] {
      read_slow(scratch, size);
      return scratch;
    }
    const std::byte* at = cur_;
    cur_ += size;
    return at;
  }

  // At most `most` of the next bytes, at least one, as they lie in memory. There must be some left.
  std::span<const std::byte> take_some(std::size_t most) {
    if (cur_ == end_) refill();
    const std::size_t size = window() < most ? window() : most;
    const std::byte* at = cur_;
    cur_ += size;
    return {at, size};
  }

  // A length as written by put_length(). Fails unless that many elements of at least `each` bytes can follow.
  std::size_t get_length(std::size_t each = 1) {
    if (cur_ != end_ && static_cast<std::size_t>(*cur_) < Writer::kLongLength) [[likely]] {
      const std::size_t length = static_cast<std::size_t>(*cur_++);
      if (window() < length * each) [[unlikely]] {
        check_length(length, each);
      }
      return length;
    }
    return get_long_length(each);
  }

  // The same for elements that take a bit each.
  std::size_t get_bits_length();

  // What is left, whether it has arrived or not.
  std::uint64_t remaining() const noexcept { return window() + beyond_; }
  // Fails when something is left.
  void finish() {
    if (remaining() != 0) fail("bytes are left over after the value");
  }
  // Throws ArchiveError: `why`, and at which byte.
  [[noreturn]] void fail(const char* why) const;

  // For serialize(): archive(a, b), archive & a & b, archive >> a >> b.
  template <class... T>
  Reader& operator()(T&... values);
  template <class T>
  Reader& operator&(T& value) {
    return (*this)(value);
  }
  template <class T>
  Reader& operator>>(T& value) {
    return (*this)(value);
  }

  // One level of nesting; throws ArchiveError beyond kMaxDepth.
  class Level {
   public:
    explicit Level(Reader& reader) : reader_(reader) {
      if (reader.depth_ >= kMaxDepth) reader.fail("the value is nested too deeply");
      ++reader.depth_;
    }
    ~Level() { --reader_.depth_; }
    Level(const Level&) = delete;
    Level& operator=(const Level&) = delete;

   private:
    Reader& reader_;
  };

 private:
  std::size_t window() const noexcept { return static_cast<std::size_t>(end_ - cur_); }
  void read_slow(void* data, std::size_t size);
  void refill();
  void check_length(std::size_t length, std::size_t each) const;
  std::size_t get_long_length(std::size_t each);

  const std::byte* begin_;
  const std::byte* cur_;
  const std::byte* end_;
  std::uint64_t beyond_ = 0;  // bytes after end_ that still have to come
  std::uint64_t before_ = 0;  // bytes before begin_ that have been and gone
  Source* source_ = nullptr;
  unsigned depth_ = 0;
};

}  // namespace brood::wire
