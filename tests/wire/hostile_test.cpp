// Damaged and hostile bytes: every decoder, every truncation, and many mutations with a fixed seed. The fuzzers in
// fuzz/ look further; this keeps what they rely on true in every run of the tests.
#include <cstdlib>
#include <exception>
#include <new>
#include <random>
#include <stdexcept>
#include <system_error>

#include "everything.hpp"
#include "round_trip.hpp"
#include "wire/exception.hpp"
#include "wire/module.hpp"

namespace {

// Bytes that this thread has asked for since the count was last set to zero.
thread_local std::size_t allocated = 0;

void* allocate(std::size_t size) {
  allocated += size;
  void* block = std::malloc(size == 0 ? 1 : size);
  if (block == nullptr) throw std::bad_alloc();
  return block;
}

}  // namespace

void* operator new(std::size_t size) { return allocate(size); }
void* operator new[](std::size_t size) { return allocate(size); }
void operator delete(void* block) noexcept { std::free(block); }
void operator delete[](void* block) noexcept { std::free(block); }
void operator delete(void* block, std::size_t) noexcept { std::free(block); }
void operator delete[](void* block, std::size_t) noexcept { std::free(block); }

namespace brood::wire {
namespace {

// An empty std::deque takes 576 bytes for the one byte that encodes it; nothing here is worse.
constexpr std::size_t kMostPerByte = 600;

template <class Decode>
void expect_value_or_archive_error(const Bytes& bytes, Decode decode) {
  allocated = 0;
  try {
    Reader reader{std::span<const std::byte>(bytes)};
    decode(reader);
    reader.finish();
  } catch (const ArchiveError&) {
  }
  EXPECT_LE(allocated, 4096 + kMostPerByte * bytes.size());

  SteppingSource source(bytes, 1);
  Reader reader({}, bytes.size(), source);
  try {
    decode(reader);
  } catch (const ArchiveError&) {
  }
}

Bytes mutated(Bytes bytes, std::mt19937& random) {
  const auto below = [&](std::size_t limit) {
    return std::uniform_int_distribution<std::size_t>(0, limit - 1)(random);
  };
  for (std::size_t i = below(4) + 1; i != 0 && !bytes.empty(); --i) {
    const std::size_t at = below(bytes.size());
    const auto place = bytes.begin() + static_cast<std::ptrdiff_t>(at);
    switch (below(6)) {
      case 0:
        bytes[at] ^= static_cast<std::byte>(1U << below(8));
        break;
      case 1:
        bytes[at] = static_cast<std::byte>(below(256));
        break;
      case 2:
        bytes[at] = std::byte{0xFE};  // a long length
        break;
      case 3:
        bytes.insert(place, below(9), static_cast<std::byte>(0xFF));
        break;
      case 4:
        bytes.erase(place);
        break;
      default:
        bytes.resize(at);
    }
  }
  return bytes;
}

template <class Decode>
void expect_robust(const Bytes& valid, std::size_t mutations, Decode decode) {
  {
    Reader reader{std::span<const std::byte>(valid)};
    ASSERT_NO_THROW(decode(reader));
    ASSERT_EQ(reader.remaining(), 0U);
  }
  for (std::size_t size = 0; size < valid.size(); ++size) {
    expect_value_or_archive_error(Bytes(valid.begin(), valid.begin() + static_cast<std::ptrdiff_t>(size)), decode);
  }
  std::mt19937 random(20'260'801);
  for (std::size_t i = 0; i < mutations; ++i) expect_value_or_archive_error(mutated(valid, random), decode);
}

template <class T>
void expect_type_robust(const T& value, std::size_t mutations = 2000) {
  expect_robust(saved(value), mutations, [](Reader& reader) { static_cast<void>(load<T>(reader)); });
}

TEST(Hostile, Archive) { expect_type_robust(make_everything(), 20'000); }

TEST(Hostile, SmallTypes) {
  expect_type_robust(std::string("text"));
  expect_type_robust(std::vector<double>{1, 2, 3});
  expect_type_robust(std::vector<std::vector<std::vector<bool>>>{{{true}, {}}, {}});
  expect_type_robust(std::map<std::string, std::map<int, std::string>>{{"a", {{1, "b"}}}});
  expect_type_robust(std::vector<std::deque<int>>(10));
  expect_type_robust(std::optional<std::variant<int, std::string>>("text"));
  expect_type_robust(std::vector<std::tuple<>>(10));
}

// Much memory per element, none of it in the bytes.
struct Bulky {
  std::optional<std::array<double, 10'000>> numbers;
};

TEST(Hostile, ReservesNoMoreThanIsBelievable) {
  Bytes bytes{std::byte{0xFE}, std::byte{0xE8}, std::byte{3}, std::byte{0}, std::byte{0}};  // 1000 elements follow
  bytes.resize(5 + 1000, std::byte{2});                                                     // the first is bad
  allocated = 0;
  EXPECT_THROW(loaded<std::vector<Bulky>>(bytes), ArchiveError);
  EXPECT_LE(allocated, 1'000'000U);
}

TEST(Hostile, Exceptions) {
  const auto bytes_of = [](const std::exception_ptr& exception) {
    Writer writer;
    save_exception(writer, exception);
    return writer.take();
  };
  const auto decode = [](Reader& reader) {
    const std::exception_ptr exception = load_exception(reader, 1, 2);
    try {
      std::rethrow_exception(exception);
    } catch (const std::exception& caught) {
      EXPECT_NE(caught.what(), nullptr);
      EXPECT_NE(dynamic_cast<const RemoteError*>(&caught), nullptr);
    }
  };
  const std::error_code code(ENOENT, std::generic_category());
  expect_robust(bytes_of(std::make_exception_ptr(std::out_of_range("text"))), 5000, decode);
  expect_robust(bytes_of(std::make_exception_ptr(std::filesystem::filesystem_error("x", "/a", "/b", code))), 5000,
                decode);
  expect_robust(bytes_of(std::make_exception_ptr(42)), 5000, decode);
  // Every number for the standard type.
  Bytes bytes = bytes_of(std::make_exception_ptr(std::out_of_range("text")));
  for (unsigned type = 0; type < 256; ++type) {
    bytes[0] = static_cast<std::byte>(type);
    expect_value_or_archive_error(bytes, decode);
  }
}

TEST(Hostile, CodeAddresses) {
  static const int data = 5;
  const CodeAddress place = locate(&data);
  expect_type_robust(place);
  // What decodes may still name anything; resolving it fails in a defined way. (Only paths that exist nowhere: a file
  // that exists and has the right identity would rightly be loaded.)
  std::mt19937 random(7);
  for (int i = 0; i < 200; ++i) {
    CodeAddress other = place;
    other.offset = (std::uint64_t{random()} << 32 | random()) >> (i % 64);
    if (i % 4 == 0) other.build_id[static_cast<std::size_t>(i) % other.build_id.size()] ^= 1;
    if (i % 5 == 0) other.path = "/nonexistent/" + std::to_string(i);
    try {
      EXPECT_NE(resolve(other), nullptr);
    } catch (const Error&) {
    }
  }
}

}  // namespace
}  // namespace brood::wire
