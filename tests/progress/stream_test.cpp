// Loops over results that arrive while others are still being worked on.
#include <brood/progress.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "progress/pseudo_terminal.hpp"

namespace brood {
namespace {

using namespace std::chrono_literals;
using testing::PseudoTerminal;
using Lines = std::vector<std::string>;

// Hands out 0, 1, 2 ... in order, after a plan that says how many are completed at each look: the first element is
// ready last, as with a pool whose first task is the slowest.
template <class T>
class FakeStream {
 public:
  struct Look {
    std::uint64_t completed;
    bool element;
  };
  FakeStream(std::vector<Look> plan, std::optional<std::uint64_t> total) : plan_(std::move(plan)), total_(total) {}

  std::optional<T> next_for(std::chrono::nanoseconds wait) {
    EXPECT_GE(wait, 10ms);
    EXPECT_LE(wait, 1s);
    if (on_wait) on_wait(completed());
    if (at_ + 1 == fails_at) throw std::out_of_range("task 3");
    if (at_ == plan_.size()) return std::nullopt;
    const Look look = plan_[at_++];
    return look.element ? std::optional<T>(T(handed_out_++)) : std::nullopt;
  }
  std::uint64_t completed() const { return at_ == 0 ? 0 : plan_[at_ - 1].completed; }
  std::optional<std::uint64_t> total() const { return total_; }
  bool done() const { return at_ == plan_.size(); }

  std::function<void(std::uint64_t)> on_wait;
  std::size_t fails_at = 0;

 private:
  std::vector<Look> plan_;
  std::optional<std::uint64_t> total_;
  std::size_t at_ = 0;
  int handed_out_ = 0;
};

ProgressOptions plain(int fd) { return {.bar_format = "{n}/{total_fmt}", .mininterval = 0s, .fd = fd}; }

TEST(ProgressStream, ShowsWhatIsCompletedWhileItWaits) {
  PseudoTerminal terminal;
  FakeStream<int> stream({{1, false}, {2, false}, {3, false}, {3, false}, {4, true}, {4, true}, {4, true}, {4, true}},
                         4);
  std::vector<Lines> seen;
  stream.on_wait = [&](std::uint64_t) { seen.push_back(terminal.lines()); };
  std::vector<int> elements;
  auto loop = progress(stream, plain(terminal.fd()));
  for (int& element : loop) elements.push_back(element);
  EXPECT_EQ(elements, (std::vector<int>{0, 1, 2, 3}));
  EXPECT_EQ(loop.bar().n(), 4u);
  EXPECT_EQ(loop.bar().total(), 4u);
  const std::vector<Lines> expected = {{"0/4"}, {"1/4"}, {"2/4"}, {"3/4"}, {"3/4"}, {"4/4"}, {"4/4"}, {"4/4"}, {"4/4"}};
  EXPECT_EQ(seen, expected);
  EXPECT_EQ(terminal.lines(), Lines{"4/4"});
  EXPECT_EQ(terminal.settled().cursor_row(), 1u);
}

TEST(ProgressStream, LearnsATotalThatIsKnownLate) {
  struct Late : FakeStream<int> {
    using FakeStream::FakeStream;
    std::optional<std::uint64_t> total() const { return done() ? std::optional<std::uint64_t>(2) : std::nullopt; }
  };
  auto loop = progress(Late({{1, true}, {2, true}}, std::nullopt), {.fd = -1});
  EXPECT_EQ(loop.bar().total(), std::nullopt);
  for (const int element : loop) (void)element;
  EXPECT_EQ(loop.bar().total(), 2u);
}

TEST(ProgressStream, AGivenTotalStays) {
  auto loop = progress(FakeStream<int>({{1, true}}, 7), {.total = 3, .fd = -1});
  for (const int element : loop) (void)element;
  EXPECT_EQ(loop.bar().total(), 3u);
}

TEST(ProgressStream, CountsOnFromTheInitialValue) {
  auto loop = progress(FakeStream<int>({{1, true}, {2, true}}, 4), {.fd = -1, .initial = 10});
  for (const int element : loop) (void)element;
  EXPECT_EQ(loop.bar().n(), 12u);
}

TEST(ProgressStream, AnEmptyOneEndsAtOnce) {
  for (const int element : progress(FakeStream<int>({}, 0), {.fd = -1})) FAIL() << element;
}

TEST(ProgressStream, HandsOutElementsThatCanOnlyBeMoved) {
  struct Box {
    explicit Box(int v) : value(std::make_unique<int>(v)) {}
    std::unique_ptr<int> value;
  };
  std::vector<Box> boxes;
  for (Box& box : progress(FakeStream<Box>({{1, true}, {2, false}, {2, true}}, 2), {.fd = -1})) {
    boxes.push_back(std::move(box));
  }
  ASSERT_EQ(boxes.size(), 2u);
  EXPECT_EQ(*boxes[1].value, 1);
}

TEST(ProgressStream, ItsExceptionLeavesACleanTerminal) {
  PseudoTerminal terminal;
  FakeStream<int> stream({{1, true}, {2, true}, {5, true}, {5, true}}, 5);
  stream.fails_at = 3;
  std::vector<int> elements;
  EXPECT_THROW(for (const int element
                    : progress(std::move(stream), plain(terminal.fd()))) elements.push_back(element),
               std::out_of_range);
  EXPECT_EQ(elements, (std::vector<int>{0, 1}));
  EXPECT_EQ(terminal.lines(), Lines{"2/5"});
  EXPECT_EQ(terminal.settled().cursor_row(), 1u);
}

}  // namespace
}  // namespace brood
