// Random workers, deaths, revocations, cancelled and abandoned jobs: every task that is wanted is answered once.
#include <gtest/gtest.h>

#include "channel/support.hpp"
#include "pool/dispatcher_rig.hpp"

namespace brood::engine::testing {
namespace {

using channel::testing::Dice;
using channel::testing::scaled;

// A worker that does one small thing at a time.
class Player {
 public:
  void play(FakeWorker& worker, Dice& dice) {
    if (epoch_ != worker.epoch) *this = Player(worker.epoch);
    if (!frame_) {
      frame_ = worker.next_tasks();
      next_ = 0;
    } else if (frame_->streamed) {
      worker.read_streamed(*frame_, 1 + dice(100'000));
    } else if (running_) {
      end_task(worker, dice);
    } else if (next_ < frame_->items.size()) {
      begin_task(worker);
    }
    if (!frame_ || frame_->streamed || next_ < frame_->items.size()) return;
    worker.publish_time(next_, dice(100'000));
    worker.release();
    frame_.reset();
  }

  Player() = default;

 private:
  explicit Player(std::uint64_t epoch) : epoch_(epoch) {}

  void begin_task(FakeWorker& worker) {
    running_ = worker.take();
    if (running_) return;
    worker.decline(frame_->count - next_);
    next_ = frame_->count;
  }
  void end_task(FakeWorker& worker, Dice& dice) {
    if (dice(20) == 0) {
      worker.fail(std::runtime_error("failed"));
    } else {
      worker.answer("fine");
    }
    running_ = false;
    ++next_;
  }

  std::uint64_t epoch_ = 0;
  std::optional<Frame> frame_;
  std::uint32_t next_ = 0;
  bool running_ = false;
};

class Chaos {
 public:
  explicit Chaos(std::uint32_t seed)
      : dice_(seed),
        processes_(1 + dice_(5)),
        rig_({.processes = processes_, .cpus = 4, .sizes = {}, .initializer = false}),
        players_(processes_) {
    rig_.start();
  }

  void run(int steps) {
    for (int i = 0; i < steps; ++i) one_thing();
    for (int i = 0; !rig_.dispatcher->quiet() && i < 200'000; ++i) {
      const bool moved = rig_.dispatcher->step(nullptr);
      rig_.dispatcher->look_after_workers();
      for (unsigned slot = 0; slot < processes_; ++slot) play(slot);
      if (!moved && i % 100 == 99) ::usleep(500);  // a restart may be waited for
    }
  }

  void check() const {
    ASSERT_TRUE(rig_.dispatcher->quiet());
    ASSERT_EQ(rig_.dispatcher->outstanding(), 0U);
    ASSERT_TRUE(rig_.backend.kills.empty()) << "an honest worker was taken for a damaged one";
    for (const auto& job : jobs_) {
      if (abandoned_.contains(job.get())) continue;
      ASSERT_EQ(job->ended, 1U);
      ASSERT_EQ(job->answered, job->accepted);
      // What comes after a failure is dropped without an answer.
      ASSERT_TRUE(job->stop_on_error || job->answers() == job->accepted) << job->answers() << " of " << job->accepted;
    }
  }

 private:
  void one_thing() {
    switch (dice_(12)) {
      case 0:
        return submit();
      case 1:
        if (const unsigned slot = dice_(processes_); dice_(4) == 0 && rig_.backend.workers.contains(slot)) {
          rig_.backend.die(slot, -9);
        }
        return;
      case 2:
        if (NotingJob* const job = some_job(3)) {
          rig_.dispatcher->cancel(*job, std::make_exception_ptr(Cancelled("cancelled")));
        }
        return;
      case 3:
        if (NotingJob* const job = some_job(6)) {
          abandoned_.insert(job);
          rig_.dispatcher->abandon(*job);
        }
        return;
      case 4:
        rig_.dispatcher->look_after_workers();
        return;
      case 5:
      case 6:
        rig_.dispatcher->step(nullptr);
        return;
      default:
        return play(dice_(processes_));
    }
  }

  void play(unsigned slot) {
    if (rig_.backend.workers.contains(slot)) players_[slot].play(rig_.worker(slot), dice_);
  }

  void submit() {
    if (jobs_.size() == 8) return;
    jobs_.push_back(std::make_unique<NotingJob>());
    NotingJob& job = *jobs_.back();
    job.retries = dice_(3);
    job.stop_on_error = dice_(2) == 0;
    rig_.prepare(job);
    job.known->task_ns = dice_(3) == 0 ? 0 : 1'000;
    std::uint64_t first = 0;
    for (std::uint32_t left = 1 + dice_(5); left > 0; --left) {
      const auto items = dice_(10) == 0 ? std::vector{std::string(150'000, 'L')} : texts(1 + dice_(12));
      rig_.dispatcher->accept(parcel_of(job, first, items, left == 1));
      first += items.size();
    }
  }

  // One in so many times: a job that goes on and is still wanted.
  NotingJob* some_job(std::uint32_t seldom) {
    if (jobs_.empty() || dice_(seldom) != 0) return nullptr;
    NotingJob* const job = jobs_[dice_(static_cast<std::uint32_t>(jobs_.size()))].get();
    return job->ended != 0 || abandoned_.contains(job) ? nullptr : job;
  }

  Dice dice_;
  const unsigned processes_;
  std::vector<std::unique_ptr<NotingJob>> jobs_;
  std::set<const Job*> abandoned_;
  Rig rig_;
  std::vector<Player> players_;
};

TEST(DispatcherChaos, EveryTaskIsAnsweredOnce) {
  for (std::uint32_t seed = 1; seed <= scaled(400); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Chaos chaos(seed);
    chaos.run(400);
    chaos.check();
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace brood::engine::testing
