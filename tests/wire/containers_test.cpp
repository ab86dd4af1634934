#include <array>
#include <deque>
#include <forward_list>
#include <list>
#include <map>
#include <memory>
#include <queue>
#include <set>
#include <stack>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <valarray>
#include <vector>

#include "round_trip.hpp"

namespace brood::wire {
namespace {

TEST(Containers, Strings) {
  expect_round_trip(std::string());
  expect_round_trip(std::string("text"));
  expect_round_trip(std::string("with\0zero", 9));
  expect_round_trip(std::string(239, 'x'));
  expect_round_trip(std::string(240, 'x'));
  expect_round_trip(std::wstring(L"wide \u20ac"));
  expect_round_trip(std::u8string(u8"\u20ac"));
  expect_round_trip(std::u16string(u"\u20ac"));
  expect_round_trip(std::u32string(U"\u20ac"));
  expect_load_into<std::string>("longer than the small buffer of a string", "short");
  expect_load_into<std::string>("", std::string(100, 'y'));
}

TEST(Containers, LongString) {
  const std::string text(70'000, 'z');
  EXPECT_EQ(from_bytes<std::string>(to_bytes(text)), text);
}

TEST(Containers, VectorsOfNumbers) {
  expect_round_trip(std::vector<int>{});
  expect_round_trip(std::vector<int>{1, -2, 3});
  expect_round_trip(std::vector<double>{1.5, -0.0, 1e300});
  expect_round_trip(std::vector<char>{'a', 'b'});
  expect_round_trip(std::vector<std::byte>{std::byte{1}, std::byte{255}});
  expect_round_trip(std::vector<std::uint8_t>(300, 7));
  expect_round_trip(std::vector<long double>{1.25L, -2.5L});
  expect_load_into<std::vector<int>>({9, 9, 9, 9}, {1});
}

TEST(Containers, LargeVectorInManyWindows) {
  std::vector<double> numbers(20'000);
  for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = static_cast<double>(i) / 3;
  const Bytes bytes = saved(numbers);
  SteppingSource source(bytes, 4099);  // windows end within elements
  Reader reader({}, bytes.size(), source);
  EXPECT_EQ(load<std::vector<double>>(reader), numbers);
}

TEST(Containers, VectorsOfOthers) {
  expect_round_trip(std::vector<std::string>{"a", "", "ccc"});
  expect_round_trip(std::vector<std::vector<int>>{{1}, {}, {2, 3}});
  expect_round_trip(std::vector<std::pair<int, char>>{{1, 'a'}, {2, 'b'}});
  expect_load_into<std::vector<std::string>>({"x", "y"}, {"z"});
}

TEST(Containers, VectorOfBool) {
  for (const std::size_t size : {0U, 1U, 7U, 8U, 9U, 64U, 65U}) {
    std::vector<bool> bits(size);
    for (std::size_t i = 0; i < size; i += 3) bits[i] = true;
    expect_round_trip(bits);
  }
  expect_round_trip(std::vector<std::vector<bool>>{{true, false}, {}});
}

TEST(Containers, OtherSequences) {
  expect_round_trip(std::deque<int>{1, 2, 3});
  expect_round_trip(std::deque<bool>{true, false});
  expect_round_trip(std::list<std::string>{"a", "b"});
  expect_round_trip(std::forward_list<int>{});
  expect_round_trip(std::forward_list<std::string>{"a", "b", "c"});
  expect_load_into<std::forward_list<int>>({7, 8}, {1, 2, 3});
}

TEST(Containers, Sets) {
  expect_round_trip(std::set<int>{});
  expect_round_trip(std::set<std::string>{"a", "b"});
  expect_round_trip(std::set<int, std::greater<>>{1, 2, 3});
  expect_round_trip(std::multiset<int>{1, 1, 2});
  expect_round_trip(std::unordered_set<int>{1, 2, 3});
  expect_round_trip(std::unordered_multiset<std::string>{"a", "a"});
  expect_load_into<std::set<int>>({5}, {1, 2});
}

TEST(Containers, Maps) {
  expect_round_trip(std::map<int, int>{});
  expect_round_trip(std::map<std::string, std::vector<int>>{{"a", {1}}, {"b", {}}});
  expect_round_trip(std::multimap<int, std::string>{{1, "a"}, {1, "b"}});
  expect_round_trip(std::unordered_map<std::string, double>{{"a", 1}, {"b", 2}});
  expect_round_trip(std::unordered_multimap<int, int>{{1, 1}, {1, 2}});
  expect_load_into<std::map<int, int>>({{5, 6}}, {{1, 2}});
}

TEST(Containers, MultimapKeepsTheOrderOfEqualKeys) {
  const std::multimap<int, int> map{{1, 3}, {1, 1}, {1, 2}};
  const auto copy = loaded<std::multimap<int, int>>(saved(map));
  EXPECT_TRUE(std::equal(map.begin(), map.end(), copy.begin(), copy.end()));
}

TEST(Containers, Arrays) {
  expect_round_trip(std::array<int, 3>{1, 2, 3});
  expect_round_trip(std::array<std::string, 2>{"a", "b"});
  expect_round_trip(std::array<bool, 5>{true, false, true});
  expect_round_trip(std::array<int, 0>{});
  expect_round_trip(std::vector<std::array<std::string, 0>>(3));
}

TEST(Containers, CArray) {
  const std::string words[3] = {"a", "b", "c"};
  const Bytes bytes = saved(words);
  std::string copy[3];
  Reader reader{std::span<const std::byte>(bytes)};
  load_into(reader, copy);
  EXPECT_TRUE(std::equal(std::begin(words), std::end(words), std::begin(copy)));
}

template <class T>
std::vector<int> drained(T adaptor) {
  std::vector<int> out;
  for (; !adaptor.empty(); adaptor.pop()) {
    if constexpr (requires { adaptor.top(); }) {
      out.push_back(adaptor.top());
    } else {
      out.push_back(adaptor.front());
    }
  }
  return out;
}

TEST(Containers, Adaptors) {
  expect_round_trip(std::stack<int>{{1, 2, 3}});
  expect_round_trip(std::queue<std::string>{{"a", "b"}});
  expect_round_trip(std::stack<int, std::vector<int>>{{1, 2}});
  std::priority_queue<int> heap;
  for (const int i : {3, 1, 4, 1, 5}) heap.push(i);
  expect_round_trip(heap, [](const auto& a, const auto& b) { return drained(a) == drained(b); });
}

TEST(Containers, Valarray) {
  const auto same = [](const auto& a, const auto& b) { return std::equal(begin(a), end(a), begin(b), end(b)); };
  expect_round_trip(std::valarray<double>{1, 2, 3}, same);
  expect_round_trip(std::valarray<std::string>(std::string("a"), 2), same);
  EXPECT_EQ(type_hash<std::valarray<int>>(), type_hash<std::vector<int>>());
}

TEST(Containers, MoveOnlyElements) {
  std::map<std::string, std::unique_ptr<int>> map;
  map["a"] = std::make_unique<int>(1);
  map["b"] = nullptr;
  const auto copy = loaded<std::map<std::string, std::unique_ptr<int>>>(saved(map));
  ASSERT_EQ(copy.size(), 2U);
  EXPECT_EQ(*copy.at("a"), 1);
  EXPECT_EQ(copy.at("b"), nullptr);
}

// A key twice is an error, not a silent loss.
TEST(Containers, KeyTwice) {
  using Pairs = std::vector<std::pair<int, int>>;
  const Pairs twice{{1, 2}, {1, 3}};
  EXPECT_THROW((loaded<std::map<int, int>>(saved(twice))), ArchiveError);
  EXPECT_THROW((loaded<std::unordered_map<int, int>>(saved(twice))), ArchiveError);
  EXPECT_EQ((loaded<std::multimap<int, int>>(saved(twice)).size()), 2U);
  EXPECT_THROW((loaded<std::set<int>>(saved(std::vector<std::uint8_t>{8, 0, 0, 0, 0, 0, 0, 0, 0}))), ArchiveError);
  EXPECT_THROW((loaded<std::set<bool>>(saved(std::deque<bool>{true, true}))), ArchiveError);
}

// Views are saved as what they show.
TEST(Containers, ViewsCanBeSaved) {
  EXPECT_EQ(saved(std::string_view("text")), saved(std::string("text")));
  const std::vector<int> numbers{1, 2, 3};
  EXPECT_EQ(saved(std::span(numbers)), saved(numbers));
  std::vector<int> mutable_numbers = numbers;
  EXPECT_EQ(saved(std::span<int>(mutable_numbers)), saved(numbers));
  static_assert(detail::Contiguous<std::span<int>> && !detail::Contiguous<std::vector<bool>>);
  EXPECT_EQ(type_hash<std::string_view>(), type_hash<std::string>());
  static_assert(is_savable<std::string_view>() && !Archivable<std::string_view>);
  static_assert(is_savable<std::vector<std::string_view>>() && !Archivable<std::vector<std::string_view>>);
}

// The shape counts, not the name: a container of another library.
template <class T>
class SmallVector {
 public:
  using value_type = T;
  const T* begin() const { return items_; }
  const T* end() const { return items_ + size_; }
  std::size_t size() const { return size_; }
  void clear() { size_ = 0; }
  void push_back(T item) {
    if (size_ == 4) throw std::length_error("full");
    items_[size_++] = std::move(item);
  }
  bool operator==(const SmallVector& other) const { return std::equal(begin(), end(), other.begin(), other.end()); }

 private:
  T items_[4];
  std::size_t size_ = 0;
};

TEST(Containers, ForeignSequence) {
  SmallVector<std::string> words;
  words.push_back("a");
  words.push_back("b");
  expect_round_trip(words);
}

}  // namespace
}  // namespace brood::wire
