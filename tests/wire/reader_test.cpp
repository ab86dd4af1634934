#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "round_trip.hpp"

namespace brood::wire {
namespace {

TEST(ReaderTest, CountsWhatIsLeft) {
  const Bytes bytes = saved(std::array<int, 3>{1, 2, 3});
  Reader reader{std::span<const std::byte>(bytes)};
  EXPECT_EQ(reader.remaining(), 12U);
  EXPECT_EQ(reader.get<int>(), 1);
  EXPECT_EQ(reader.remaining(), 8U);
  EXPECT_THROW(reader.finish(), ArchiveError);
  EXPECT_EQ(reader.get<int>(), 2);
  EXPECT_EQ(reader.get<int>(), 3);
  EXPECT_NO_THROW(reader.finish());
  EXPECT_THROW(reader.get<char>(), ArchiveError);
}

TEST(ReaderTest, BoolsAreChecked) {
  const Bytes bytes{std::byte{1}, std::byte{2}};
  Reader reader{std::span<const std::byte>(bytes)};
  EXPECT_TRUE(reader.get<bool>());
  EXPECT_THROW(reader.get<bool>(), ArchiveError);
}

TEST(ReaderTest, SaysWhere) {
  const Bytes bytes(7);
  Reader reader{std::span<const std::byte>(bytes)};
  reader.get<int>();
  try {
    reader.get<int>();
    FAIL();
  } catch (const ArchiveError& error) {
    EXPECT_STREQ(error.what(), "bad archive: the bytes end within a value (byte 4 of 7)");
  }
}

TEST(ReaderTest, SaysWhereInAStream) {
  const Bytes bytes(7);
  SteppingSource source(bytes, 2);
  Reader reader({}, 7, source);
  reader.get<int>();
  try {
    reader.get<int>();
    FAIL();
  } catch (const ArchiveError& error) {
    EXPECT_STREQ(error.what(), "bad archive: the bytes end within a value (byte 4 of 7)");
  }
}

// A stream may hold more than this value.
TEST(ReaderTest, DoesNotLookPastTheTotal) {
  const Bytes bytes(10, std::byte{1});
  SteppingSource source(bytes, 10);
  Reader reader({}, 6, source);
  EXPECT_EQ(reader.get<int>(), 0x01010101);
  EXPECT_EQ(reader.remaining(), 2U);
  EXPECT_THROW(reader.get<int>(), ArchiveError);

  SteppingSource unused(bytes, 10);
  Reader first(bytes, 3, unused);
  EXPECT_EQ(first.remaining(), 3U);
  EXPECT_THROW(first.get<int>(), ArchiveError);
}

// A length that cannot be true is refused before anything is allocated for it.
TEST(ReaderTest, LengthsAreChecked) {
  const auto bytes_with_length = [](std::size_t length) {
    Writer writer;
    writer.put_length(length);
    writer.write("12345678", 8);
    return writer.take();
  };
  for (const std::size_t length :
       {std::size_t{9}, std::size_t{1000}, std::size_t{1} << 31, std::size_t{1} << 62, SIZE_MAX, SIZE_MAX / 8 + 2}) {
    EXPECT_THROW(loaded<std::string>(bytes_with_length(length)), ArchiveError);
    EXPECT_THROW(loaded<std::vector<double>>(bytes_with_length(length)), ArchiveError);
    EXPECT_THROW(loaded<std::vector<std::string>>(bytes_with_length(length)), ArchiveError);
    EXPECT_THROW((loaded<std::map<int, int>>(bytes_with_length(length))), ArchiveError);
  }
  EXPECT_THROW(loaded<std::vector<bool>>(bytes_with_length(65)), ArchiveError);
  EXPECT_THROW(loaded<std::vector<double>>(bytes_with_length(2)), ArchiveError);
}

TEST(ReaderTest, UnusedLengthCodes) {
  for (int code = 240; code < 254; ++code) {
    EXPECT_THROW(loaded<std::string>(Bytes(300, static_cast<std::byte>(code))), ArchiveError);
  }
}

TEST(ReaderTest, TakeSomeGoesWindowByWindow) {
  const Bytes bytes(10);
  SteppingSource source(bytes, 4);
  Reader reader({}, 10, source);
  EXPECT_EQ(reader.take_some(100).size(), 4U);
  EXPECT_EQ(reader.take_some(3).size(), 3U);
  EXPECT_EQ(reader.take_some(3).size(), 1U);
  EXPECT_EQ(reader.take_some(3).size(), 2U);
  EXPECT_THROW(reader.take_some(3), ArchiveError);
}

// Sources must give something; one that does not is an end, not an endless loop.
TEST(ReaderTest, SourceThatGivesNothing) {
  class Nothing final : public Source {
    std::span<const std::byte> next() override { return {}; }
  } source;
  Reader reader({}, 10, source);
  EXPECT_THROW(reader.get<int>(), ArchiveError);
}

TEST(ToBytes, ChecksTheType) {
  const std::string bytes = to_bytes(std::vector<int>{1, 2});
  EXPECT_EQ(from_bytes<std::vector<int>>(bytes), (std::vector<int>{1, 2}));
  EXPECT_THROW(from_bytes<std::vector<unsigned>>(bytes), ArchiveError);
  EXPECT_THROW(from_bytes<int>(std::string_view()), ArchiveError);
  EXPECT_THROW(from_bytes<std::vector<int>>(bytes + 'x'), ArchiveError);
}

}  // namespace
}  // namespace brood::wire
