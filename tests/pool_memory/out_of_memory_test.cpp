// Each allocation of the dispatcher in turn fails. What it throws reaches its caller, and afterwards every task is
// still answered exactly once.
#include <gtest/gtest.h>

#include <array>
#include <new>

#include "channel/support.hpp"
#include "pool/dispatcher_rig.hpp"
#include "pool_memory/scarcity.hpp"

namespace brood::engine::testing {
namespace {

using brood::testing::scarcity;
using channel::testing::Dice;

// Takes its answers without an allocation of its own.
class PlainJob final : public Job {
 public:
  static constexpr std::size_t kMost = 64;
  PlainJob() : Job(kOps, any_function()) {}

  std::array<unsigned, kMost> answers{};
  unsigned ended = 0;

 private:
  static void fill(Job&, FrameWriter&) {}
  static void value(Job& job, std::uint64_t index, wire::Reader&) { ++static_cast<PlainJob&>(job).answers.at(index); }
  static void error(Job& job, std::uint64_t index, std::exception_ptr) {
    ++static_cast<PlainJob&>(job).answers.at(index);
  }
  static bool satisfied(Job&) { return false; }
  static constexpr Ops kOps{&fill, &value, &error, &satisfied, nullptr, nullptr};
};

class Scene {
 public:
  // The allocation number `failing` of the dispatcher fails; 0: none does.
  explicit Scene(long failing, std::uint32_t seed)
      : left_(failing),
        dice_(seed),
        page_memory_(channel::make_pool_memory()),
        page_(page_memory_.get(), os::Access::read_write),
        dispatcher_(
            {.processes = 2, .cpus = 2, .initializer = nullptr, .finalizer = nullptr}, backend_, page_, doorbell_,
            [](Job& job) { ++static_cast<PlainJob&>(job).ended; }, [] {}) {
    for (PlainJob* const job : {&small_, &large_, &retried_}) job->known = functions_.obtain(job->function);
    retried_.retries = 2;
    small_.known->task_ns = 1'000;
  }

  // Tasks of all kinds, answers, failures, a revocation, two deaths.
  void play() {
    dispatcher_.start();  // what this throws, the constructor of the pool throws
    accept(small_, 0, 5, false);
    accept(small_, 5, 7, true);
    accept(retried_, 0, 4, true);
    dispatcher_.accept(parcel_of(large_, 0, {std::string(150'000, 'L')}));
    for (int i = 0; i < 60; ++i) {
      round();
      for (const unsigned slot : {0U, 1U}) work(slot);
      if (i == 8 || i == 20) die(i == 8 ? 0U : 1U);
      if (i % 7 == 3) ::usleep(250);  // long enough at one task to be revoked
    }
    for (int i = 0; i < 5'000 && !over(); ++i) {
      round();
      for (const unsigned slot : {0U, 1U}) work(slot);
      if (i % 50 == 49) ::usleep(1'000);  // for a restart
    }
  }

  bool over() const { return small_.ended + large_.ended + retried_.ended == 3; }
  bool failed() const { return failed_; }

  void check() const {
    ASSERT_TRUE(over());
    const auto check_one = [](const PlainJob& job, std::size_t count) {
      for (std::size_t i = 0; i < PlainJob::kMost; ++i) ASSERT_EQ(job.answers[i], i < count ? 1U : 0U) << "task " << i;
      ASSERT_EQ(job.ended, 1U);
    };
    check_one(small_, 12);
    check_one(large_, 1);
    check_one(retried_, 4);
    ASSERT_EQ(dispatcher_.outstanding(), 0U);
  }

 private:
  template <class F>
  void try_it(F f) {
    scarcity.fail_at(left_);
    try {
      f();
    } catch (const std::bad_alloc&) {
    }
    left_ = scarcity.allocations_left;
    failed_ |= scarcity.end();
  }
  void round() {
    try_it([&] { dispatcher_.step(nullptr); });
    try_it([&] { dispatcher_.look_after_workers(); });
  }
  void accept(PlainJob& job, std::uint64_t first, std::size_t count, bool last) {
    dispatcher_.accept(parcel_of(job, first, texts(count), last));
  }
  void die(unsigned slot) {
    if (backend_.workers.contains(slot)) backend_.die(slot, -9);
  }
  // A little of what a worker does.
  void work(unsigned slot) {
    if (!backend_.workers.contains(slot) || dice_(3) == 0) return;
    FakeWorker& worker = backend_.worker(slot);
    auto& at = at_[slot];
    if (at.epoch != worker.epoch) at = At{.epoch = worker.epoch, .frame = {}, .next = 0, .running = false};
    if (!at.frame) {
      at.frame = worker.next_tasks();
      at.next = 0;
    } else if (at.frame->streamed) {
      worker.read_streamed(*at.frame);
    } else if (at.running) {
      if (dice_(5) == 0) {
        worker.fail(std::runtime_error("failed"));
      } else {
        worker.answer("value");
      }
      at.running = false;
      ++at.next;
    } else if (at.next < at.frame->items.size()) {
      at.running = worker.take();
      if (!at.running) {
        worker.decline(at.frame->count - at.next);
        at.next = at.frame->count;
      }
    }
    if (at.frame && !at.frame->streamed && at.next == at.frame->items.size()) {
      worker.release();
      at.frame.reset();
    }
  }

  struct At {
    std::uint64_t epoch = 0;
    std::optional<Frame> frame;
    std::uint32_t next = 0;
    bool running = false;
  };

  long left_;
  bool failed_ = false;
  Dice dice_;
  FakeBackend backend_;
  os::Fd page_memory_;
  channel::PoolPage page_;
  os::Event doorbell_;
  Functions functions_;
  PlainJob small_, large_, retried_;
  Dispatcher dispatcher_;
  std::array<At, 2> at_;
};

TEST(OutOfMemory, EveryAllocationOfTheDispatcherMayFail) {
  for (std::uint32_t seed = 1; seed <= channel::testing::scaled(10); ++seed) {
    long failing = 1;
    for (;; ++failing) {
      SCOPED_TRACE("seed " + std::to_string(seed) + ", allocation " + std::to_string(failing));
      Scene scene(failing, seed);
      scene.play();
      scene.check();
      if (HasFailure() || !scene.failed()) break;
    }
    if (HasFailure()) return;
    EXPECT_GT(failing, 20) << "hardly anything was tried";
  }
}

}  // namespace
}  // namespace brood::engine::testing
