#include <array>
#include <string>
#include <utility>
#include <vector>

#include "round_trip.hpp"

namespace brood::wire {
namespace {

constexpr std::size_t kLarge = Writer::kReferenceBytes;

Bytes joined(const std::vector<std::span<const std::byte>>& pieces) {
  Bytes all;
  for (const auto piece : pieces) all.insert(all.end(), piece.begin(), piece.end());
  return all;
}

TEST(WriterTest, StaysInTheWindow) {
  std::array<std::byte, 16> window;
  Writer writer(window);
  EXPECT_TRUE(writer.in_window());
  writer.put(7);
  EXPECT_EQ(writer.position(), window.data() + 4);
  writer.write(window.data(), 0);
  EXPECT_EQ(writer.size(), 4U);
  EXPECT_TRUE(writer.in_window());
  EXPECT_FALSE(writer.spilled());
}

TEST(WriterTest, Spills) {
  std::array<std::byte, 6> window;
  Writer writer(window);
  writer.put(1);
  writer.put(2);
  EXPECT_FALSE(writer.in_window());
  EXPECT_TRUE(writer.spilled());
  EXPECT_EQ(writer.take(), saved(std::pair(1, 2)));
}

TEST(WriterTest, NullWindow) {
  Writer writer{std::span<std::byte>()};
  EXPECT_TRUE(writer.in_window());
  writer.put('a');
  EXPECT_TRUE(writer.spilled());
  EXPECT_EQ(writer.take_string(), "a");
}

TEST(WriterTest, GrowsManyTimes) {
  Writer writer;
  std::string expected;
  for (int i = 0; i < 100'000; ++i) {
    writer.put(static_cast<char>(i));
    expected += static_cast<char>(i);
  }
  EXPECT_EQ(writer.take_string(), expected);
  EXPECT_EQ(writer.size(), 0U);
}

TEST(WriterTest, RefersToLargeBlocksWhenAllowed) {
  const std::vector<double> large(kLarge / sizeof(double), 1.5);
  const std::vector<double> small(10, 2.5);
  const auto value = std::tuple(small, large, 3, large);
  Writer plain;
  save(plain, value);
  EXPECT_EQ(plain.pieces().size(), 1U);

  Writer writer;
  writer.allow_references(true);
  save(writer, value);
  EXPECT_EQ(writer.size(), plain.size());
  EXPECT_FALSE(writer.in_window());
  const auto pieces = writer.pieces();
  ASSERT_EQ(pieces.size(), 4U);
  EXPECT_EQ(static_cast<const void*>(pieces[1].data()), static_cast<const void*>(std::get<1>(value).data()));
  EXPECT_EQ(joined(pieces), joined(plain.pieces()));
  EXPECT_EQ(writer.take(), plain.take());
}

TEST(WriterTest, RefersToLargeArraysAndStrings) {
  const std::string text(kLarge, 'x');
  const auto array = std::make_unique<std::array<int, kLarge / 4>>();
  Writer writer;
  writer.allow_references(true);
  save(writer, text);
  save(writer, *array);
  ASSERT_EQ(writer.pieces().size(), 3U);
  EXPECT_EQ(static_cast<const void*>(writer.pieces()[1].data()), static_cast<const void*>(text.data()));
  EXPECT_EQ(static_cast<const void*>(writer.pieces()[2].data()), static_cast<const void*>(array.get()));
}

struct Temporary {
  std::size_t size = kLarge;
  template <class A>
  void serialize(A& archive) {
    std::string text(size, 'x');  // gone when serialize() returns
    archive(text);
  }
};

TEST(WriterTest, NeverRefersToWhatSerializeWrites) {
  Writer writer;
  writer.allow_references(true);
  save(writer, std::pair(Temporary(), std::string(kLarge, 'y')));
  EXPECT_EQ(writer.pieces().size(), 2U);  // only the string beside it
}

// A container whose elements exist only while one looks at them.
class Generated {
 public:
  using value_type = std::array<double, kLarge / 8>;
  class Iterator {
   public:
    explicit Iterator(int at) : at_(at) {}
    value_type operator*() const {
      value_type value{};
      value[0] = at_;
      return value;
    }
    Iterator& operator++() {
      ++at_;
      return *this;
    }
    bool operator!=(const Iterator& other) const { return at_ != other.at_; }

   private:
    int at_;
  };
  Iterator begin() const { return Iterator(0); }
  Iterator end() const { return Iterator(2); }
  void clear() {}
  void push_back(const value_type&) {}
};

TEST(WriterTest, NeverRefersToGeneratedElements) {
  Writer writer;
  writer.allow_references(true);
  save(writer, Generated());
  EXPECT_EQ(writer.pieces().size(), 1U);
  EXPECT_TRUE(writer.references_allowed());
}

TEST(WriterTest, TruncateTakesBack) {
  std::array<std::byte, 8> window;
  Writer writer(window);
  writer.put(1);
  const auto size = writer.size();
  writer.put<char>('a');
  writer.truncate(size);
  EXPECT_EQ(writer.size(), size);
  EXPECT_TRUE(writer.in_window());
  save(writer, std::string(100, 'x'));
  writer.truncate(size);
  EXPECT_EQ(writer.take(), saved(1));
}

TEST(WriterTest, TruncateTakesReferencesBack) {
  const std::string large(kLarge, 'x');
  Writer writer;
  writer.allow_references(true);
  writer.put(1);
  const auto before = writer.size();
  save(writer, large);
  const auto between = writer.size();
  writer.put(2);
  save(writer, large);
  writer.truncate(between);
  EXPECT_EQ(writer.size(), between);
  EXPECT_EQ(writer.pieces().size(), 2U);
  writer.truncate(before);
  EXPECT_EQ(writer.size(), before);
  EXPECT_EQ(writer.take(), saved(1));
}

TEST(WriterTest, ResetStartsAgain) {
  std::array<std::byte, 8> window;
  Writer writer(window);
  save(writer, std::string(1000, 'x'));
  writer.reset(window);
  EXPECT_TRUE(writer.in_window());
  EXPECT_EQ(writer.size(), 0U);
  writer.put(5);
  EXPECT_EQ(writer.position(), window.data() + 4);
  save(writer, std::string(1000, 'y'));
  EXPECT_TRUE(writer.spilled());
  EXPECT_EQ(writer.take(), saved(std::pair(5, std::string(1000, 'y'))));
}

TEST(WriterTest, AppendsToWhatIsThere) {
  Writer writer;
  writer.put('b');
  std::string text = "a";
  writer.append_to(text);
  EXPECT_EQ(text, "ab");
  Bytes bytes{std::byte{'a'}};
  writer.append_to(bytes);
  EXPECT_EQ(bytes.size(), 2U);
}

TEST(WriterTest, Moves) {
  Writer first;
  save(first, std::string(1000, 'x'));
  Writer second = std::move(first);
  EXPECT_EQ(second.size(), 1005U);
  Writer third;
  third.put(1);
  third = std::move(second);
  EXPECT_EQ(third.take(), saved(std::string(1000, 'x')));
}

TEST(WriterTest, Lengths) {
  for (const std::size_t length :
       {std::size_t{0}, std::size_t{239}, std::size_t{240}, std::size_t{0xFFFFFFFF}, std::size_t{0x100000000}}) {
    Writer writer;
    writer.put_length(length);
    EXPECT_EQ(writer.size(), length < 240 ? 1U : length <= 0xFFFFFFFF ? 5U : 9U);
    const Bytes bytes = writer.take();
    Reader reader{std::span<const std::byte>(bytes)};
    EXPECT_EQ(reader.get_length(0), length);
  }
}

}  // namespace
}  // namespace brood::wire
