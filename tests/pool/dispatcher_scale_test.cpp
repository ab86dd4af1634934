// Large pools: what a round costs depends on the workers that are busy, not on those that are there.
#include <gtest/gtest.h>
#include <sys/mman.h>

#include "os/support.hpp"
#include "pool/dispatcher_rig.hpp"

namespace brood::engine::testing {
namespace {

TEST(DispatcherScale, TwoHundredAndFiftySixWorkers) {
  Rig rig({.processes = 256, .cpus = 256});
  rig.start();
  NotingJob job;
  rig.submit(job, texts(5'000));
  rig.finish();
  EXPECT_EQ(job.values.size(), 5'000U);
  for (const auto& worker : rig.dispatcher->workers()) EXPECT_GT(worker->tasks, 0U) << worker->slot;
  EXPECT_TRUE(rig.dispatcher->quiet());
}

TEST(DispatcherScale, ManyDieAtOnce) {
  Rig rig({.processes = 256, .cpus = 256});
  rig.start();
  NotingJob job;
  job.retries = 1;
  rig.submit(job, texts(1'000));
  rig.settle();
  for (unsigned slot = 0; slot < 256; ++slot) {
    if (rig.worker(slot).next_tasks()) rig.worker(slot).take();
    rig.backend.die(slot, -9);
  }
  rig.finish();
  EXPECT_EQ(job.values.size(), 1'000U);
  EXPECT_EQ(rig.backend.starts, 512U);
}

// The words of workers that have nothing to do are not even read: here they cannot be.
TEST(DispatcherScale, IdleWorkersAreNotTouched) {
  EXPECT_EQ(os::testing::run_in_child([] {
              Rig rig({.processes = 256, .cpus = 256});
              rig.start();
              for (auto& [slot, worker] : rig.backend.workers) worker->next_tasks();
              rig.settle();
              // The last one to become idle is the first to be used: who that is, the first call shows.
              const auto call = [&] {
                NotingJob job;
                rig.submit(job, {"x"});
                rig.settle();
                std::set<unsigned> busy;
                for (const auto& worker : rig.dispatcher->workers()) {
                  if (worker->in_busy) busy.insert(worker->slot);
                }
                for (const unsigned slot : busy) rig.worker(slot).work();
                rig.dispatcher->rest(nullptr, os::Deadline::at(0));
                rig.settle();
                return job.ended == 1 && busy.size() == 1 ? *busy.begin() : 1000;
              };
              const unsigned favourite = call();
              for (const auto& worker : rig.dispatcher->workers()) {
                if (worker->slot == favourite) continue;
                if (::mprotect(&worker->link->words(), channel::kHeaderBytes, PROT_NONE) != 0) return 1;
              }
              for (int i = 0; i < 1'000; ++i) {
                if (call() != favourite) return 2;
              }
              for (const auto& worker : rig.dispatcher->workers()) {
                ::mprotect(&worker->link->words(), channel::kHeaderBytes, PROT_READ | PROT_WRITE);
              }
              return 0;
            }),
            0);
}

}  // namespace
}  // namespace brood::engine::testing
