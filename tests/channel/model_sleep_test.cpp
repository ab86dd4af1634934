// Sleeping and waking on both sides, in every interleaving: no wake-up is lost.
//
// The worker follows wait_for_frame, take, room and ring (src/pool/worker.cpp) and WorkerEnd::sleep; the dispatcher
// drain, feed, ring_bells and rest (src/pool/drain.cpp, feed.cpp, dispatcher.cpp) and DispatcherEnd::wake. Nobody
// spins: spinning only postpones sleep. Deadlines and spurious wake-ups are left out, as they could only help.
#include "channel/explorer.hpp"

namespace brood::channel::testing {
namespace {

enum Word : Byte { kTasks, kTaken, kResults, kConsumed, kSleep, kEpoch, kWakeAt, kWords };
enum Process : Byte { kDispatcher, kWorker, kProcesses };
enum Reason : Byte { kAwake, kForTasks, kForSpace };

struct Rules {
  Byte tasks = 4;
  Byte window = 2;      // how many may be unanswered
  Byte capacity = 4;    // results that fit into the ring
  bool coarse = false;  // answers are wanted together: a batch
  // The last task never ends: what was answered before must be heard of while it runs.
  bool endless = false;
  // What can be left out, to see what it is good for.
  bool worker_fence = true;      // between saying that it sleeps and looking
  bool dispatcher_fence = true;  // between publishing and looking whether the worker sleeps
  bool rest_fence = true;        // between saying that it sleeps and looking
  bool idle_fence = true;        // before a worker without tasks rings
  bool take_fence = true;        // in take(), unless coarse
  bool membarrier = true;        // before a dispatcher sleeps, if coarse
  bool tells = true;             // the worker rings once more when it has said that it sleeps
  bool looks_at_sleep = true;    // rest() of a batch also asks whether the worker sleeps
  bool rings_when_full = true;
};

// The worker's next access.
enum class At : Byte {
  window,      // is there a frame?
  idle_fence,  // no: ring, whatever is waited for
  idle_ring,
  ready,  // asks again before it sleeps
  say_sleep,
  sleep_fence,
  tell,
  look,
  futex,
  asleep,
  say_awake,
  take,
  take_fence,
  take_ring,
  take_wake_at,
  room,
  full_fence,
  full_ring,
  full_look,
  full_check,
  commit,
};

// The dispatcher's.
enum class Do : Byte {
  drain,
  release,
  drained_fence,
  drained_wake,
  feed,
  bell_fence,
  bell_wake,
  say_wake_at,
  say_rest,
  rest_fence,
  look_results,
  look_taken,
  look_sleep,
  poll,
  say_up,
  done,
};

struct State {
  BufferedMemory<kWords, kProcesses, 4> memory;
  Byte doorbell;
  // The worker's.
  At at;
  Reason reason;  // why it sleeps, or is about to
  Byte got;       // tasks taken
  Byte made;      // results published
  Byte known_consumed;
  Byte seen;  // what it compares with in order to sleep
  Byte rung;
  // The dispatcher's.
  Do doing;
  Byte sent;
  Byte answered;
  Byte wake_at;
  Byte epoch;
  Byte moved;
};

class SleepModel {
 public:
  using State = testing::State;

  explicit SleepModel(const Rules& rules) : rules_(rules) {}

  State initial() const { return State{}; }
  const char* problem(const State&) const { return nullptr; }
  bool may_end(const State& s) const {
    return s.doing == Do::done || (rules_.endless && s.answered == rules_.tasks - 1);
  }

  template <class Emit>
  void next(const State& s, Emit emit) const {
    if (s.doing == Do::done) return;
    for (const Process process : {kDispatcher, kWorker}) {
      if (s.memory.drained(process)) continue;
      State t = s;
      t.memory.drain_one(process);
      emit(process == kWorker ? "memory: a store of the worker arrives" : "memory: a store of the dispatcher arrives",
           t);
    }
    if (s.memory.has_room(kWorker)) worker(s, emit);
    if (s.memory.has_room(kDispatcher)) dispatcher(s, emit);
  }

 private:
  static const char* name_of_futex_wait(Reason reason) {
    return reason == kForTasks ? "worker: futex_wait for tasks" : "worker: futex_wait for space";
  }

  // ring(): one load; rings when the dispatcher sleeps in an epoch in which this worker has not rung.
  static bool would_ring(const State& s) {
    const Byte epoch = s.memory.load(kWorker, kEpoch);
    return epoch != 0 && epoch != s.rung;
  }
  static void ring(State& s) {
    s.rung = s.memory.load(kWorker, kEpoch);
    s.doorbell = 1;
  }

  template <class Emit>
  void worker(const State& s, Emit emit) const {
    State t = s;
    const bool drained = s.memory.drained(kWorker);
    switch (s.at) {
      case At::window:
        t.at = s.memory.load(kWorker, kTasks) > s.got ? At::take : At::idle_fence;
        return emit("worker: looks for a frame", t);
      case At::idle_fence:
        if (rules_.idle_fence && !drained) return;
        t.at = At::idle_ring;
        return emit("worker: fence, has no frame", t);
      case At::idle_ring:
        if (would_ring(s)) ring(t);
        t.at = At::ready;
        return emit("worker: rings if the dispatcher sleeps (no frame)", t);
      case At::ready:
        t.at = s.memory.load(kWorker, kTasks) > s.got ? At::take : At::say_sleep;
        t.reason = kForTasks;
        t.seen = s.got;
        return emit("worker: looks again for a frame", t);
      case At::say_sleep:
        t.memory.store(kWorker, kSleep, s.reason);
        t.at = At::sleep_fence;
        return emit("worker: sleep = why", t);
      case At::sleep_fence:
        if (rules_.worker_fence && !drained) return;
        t.at = rules_.tells ? At::tell : At::look;
        return emit("worker: fence, is going to sleep", t);
      case At::tell:
        if (would_ring(s)) ring(t);
        t.at = At::look;
        return emit("worker: rings if the dispatcher sleeps (going to sleep)", t);
      case At::look:
        t.at = s.memory.load(kWorker, word_of(s.reason)) == s.seen ? At::futex : At::say_awake;
        return emit("worker: looks a last time", t);
      case At::futex:  // the kernel compares and queues at once
        t.at = s.memory.words[word_of(s.reason)] == s.seen ? At::asleep : At::say_awake;
        return emit(name_of_futex_wait(s.reason), t);
      case At::asleep:
        return;
      case At::say_awake:
        t.memory.store(kWorker, kSleep, kAwake);
        t.at = s.reason == kForTasks ? At::ready : At::room;
        return emit("worker: sleep = awake", t);
      case At::take:
        ++t.got;
        t.memory.store(kWorker, kTaken, t.got);
        t.at = At::take_fence;
        return emit("worker: taken = next", t);
      case At::take_fence:
        if (!rules_.coarse && rules_.take_fence && !drained) return;
        t.at = At::take_ring;
        return emit("worker: fence in take", t);
      case At::take_ring:
        t.at = would_ring(s) ? At::take_wake_at : At::room;
        return emit("worker: reads sleep_epoch", t);
      case At::take_wake_at:
        if (s.got - 1 >= s.memory.load(kWorker, kWakeAt)) ring(t);
        t.at = At::room;
        return emit("worker: reads wake_at, may ring", t);
      case At::room:
        t.known_consumed = s.memory.load(kWorker, kConsumed);
        t.at = s.made - t.known_consumed < rules_.capacity ? At::commit : At::full_fence;
        return emit("worker: looks for room", t);
      case At::full_fence:
        if (!drained) return;
        t.at = rules_.rings_when_full ? At::full_ring : At::full_look;
        return emit("worker: fence, has no room", t);
      case At::full_ring:
        if (would_ring(s)) ring(t);
        t.at = At::full_look;
        return emit("worker: rings if the dispatcher sleeps (no room)", t);
      case At::full_look:
        t.seen = s.memory.load(kWorker, kConsumed);
        t.at = At::full_check;
        return emit("worker: notes result_head", t);
      case At::full_check:
        t.known_consumed = s.memory.load(kWorker, kConsumed);
        t.at = s.made - t.known_consumed < rules_.capacity ? At::room : At::say_sleep;
        t.reason = kForSpace;
        return emit("worker: looks again for room", t);
      case At::commit:
        if (rules_.endless && s.got == rules_.tasks) return;
        ++t.made;
        t.memory.store(kWorker, kResults, t.made);
        t.at = At::window;
        return emit("worker: publishes a result", t);
    }
  }

  static Word word_of(Reason reason) { return reason == kForTasks ? kTasks : kConsumed; }

  // DispatcherEnd::wake() after its fence.
  static void wake(State& s) {
    const Byte sleep = s.memory.load(kDispatcher, kSleep);
    if (sleep == kAwake || s.at != At::asleep || s.reason != sleep) return;
    s.at = At::say_awake;
  }

  template <class Emit>
  void dispatcher(const State& s, Emit emit) const {
    State t = s;
    const bool drained = s.memory.drained(kDispatcher);
    switch (s.doing) {
      case Do::drain: {
        const Byte results = s.memory.load(kDispatcher, kResults);
        t.moved = results != s.answered;
        t.answered = results;
        t.doing = t.answered == rules_.tasks ? Do::done : t.moved != 0 ? Do::release : Do::feed;
        return emit("dispatcher: drains", t);
      }
      case Do::release:
        t.memory.store(kDispatcher, kConsumed, s.answered);
        t.doing = Do::drained_fence;
        return emit("dispatcher: releases results", t);
      case Do::drained_fence:
        if (rules_.dispatcher_fence && !drained) return;
        t.doing = Do::drained_wake;
        return emit("dispatcher: fence after draining", t);
      case Do::drained_wake:
        wake(t);
        t.doing = Do::feed;
        return emit("dispatcher: wakes the worker if it sleeps (drained)", t);
      case Do::feed:
        if (s.sent < rules_.tasks && s.sent - s.answered < rules_.window) {
          t.memory.store(kDispatcher, kTasks, ++t.sent);
          t.moved = 1;
          t.doing = Do::bell_fence;
          return emit("dispatcher: publishes a task", t);
        }
        t.doing = s.moved != 0 && !rules_.coarse ? Do::drain : Do::say_wake_at;
        return emit("dispatcher: has nothing to feed", t);
      case Do::bell_fence:
        if (rules_.dispatcher_fence && !drained) return;
        t.doing = Do::bell_wake;
        return emit("dispatcher: fence after publishing", t);
      case Do::bell_wake:
        wake(t);
        t.doing = Do::drain;
        return emit("dispatcher: wakes the worker if it sleeps (published)", t);
      case Do::say_wake_at:
        t.wake_at = static_cast<Byte>(rules_.coarse ? s.sent - (rules_.endless ? 1 : 0) : s.answered + 1);
        t.memory.store(kDispatcher, kWakeAt, t.wake_at);
        t.doing = Do::say_rest;
        return emit("dispatcher: wake_at", t);
      case Do::say_rest:
        ++t.epoch;
        t.memory.store(kDispatcher, kEpoch, t.epoch);
        t.doing = Do::rest_fence;
        return emit("dispatcher: sleep_epoch = new", t);
      case Do::rest_fence:
        if (rules_.rest_fence && !drained) return;
        if (rules_.coarse && rules_.membarrier) t.memory.drain(kWorker);
        t.doing = Do::look_results;
        return emit("dispatcher: fence, is going to sleep", t);
      case Do::look_results:
        t.doing = s.memory.load(kDispatcher, kResults) == s.answered ? Do::poll
                  : rules_.coarse                                    ? Do::look_taken
                                                                     : Do::say_up;
        return emit("dispatcher: looks for results", t);
      case Do::look_taken:
        t.doing = s.memory.load(kDispatcher, kTaken) >= s.wake_at ? Do::say_up
                  : rules_.looks_at_sleep                         ? Do::look_sleep
                                                                  : Do::poll;
        return emit("dispatcher: looks at the ledger", t);
      case Do::look_sleep:
        t.doing = s.memory.load(kDispatcher, kSleep) != kAwake ? Do::say_up : Do::poll;
        return emit("dispatcher: looks whether the worker sleeps", t);
      case Do::poll:
        if (s.doorbell == 0) return;
        t.doorbell = 0;
        t.doing = Do::say_up;
        return emit("dispatcher: is woken by the doorbell", t);
      case Do::say_up:
        t.memory.store(kDispatcher, kEpoch, 0);
        t.doing = Do::drain;
        return emit("dispatcher: sleep_epoch = 0", t);
      case Do::done:
        return;
    }
  }

  const Rules rules_;
};

constexpr const char* kLost = "nothing can happen any more";

class ModelSleep : public ::testing::TestWithParam<Rules> {};

TEST_P(ModelSleep, NoWakeUpIsLost) {
  const Verdict verdict = explore(SleepModel(GetParam()));
  EXPECT_EQ(verdict.problem, "") << verdict.text();
  RecordProperty("states", static_cast<int>(verdict.states));
}

INSTANTIATE_TEST_SUITE_P(Shapes, ModelSleep,
                         ::testing::Values(Rules{.window = 1}, Rules{.window = 2}, Rules{.window = 4},
                                           Rules{.window = 2, .capacity = 1}, Rules{.window = 3, .capacity = 1},
                                           Rules{.window = 4, .capacity = 2}, Rules{.window = 1, .endless = true},
                                           Rules{.window = 3, .endless = true},
                                           Rules{.window = 4, .coarse = true, .endless = true},
                                           Rules{.window = 4, .capacity = 2, .coarse = true, .endless = true},
                                           Rules{.window = 2, .coarse = true}, Rules{.window = 4, .coarse = true},
                                           Rules{.window = 3, .capacity = 1, .coarse = true},
                                           Rules{.window = 4, .capacity = 2, .coarse = true}),
                         [](const auto& test) {
                           const Rules& rules = test.param;
                           return std::string(rules.coarse ? "Batch" : "Single") + "Window" +
                                  std::to_string(rules.window) + "Room" + std::to_string(rules.capacity) +
                                  (rules.endless ? "Endless" : "");
                         });

// What each rule is good for: leaving it out loses a wake-up.
std::string without(Rules rules) { return explore(SleepModel(rules)).problem; }

TEST(ModelSleepRules, TheWorkersFenceBeforeItSleeps) {
  EXPECT_EQ(without({.window = 1, .worker_fence = false}), kLost);
}
TEST(ModelSleepRules, TheDispatchersFenceBeforeItWakes) {
  EXPECT_EQ(without({.window = 1, .dispatcher_fence = false}), kLost);
}
TEST(ModelSleepRules, TheDispatchersFenceBeforeItSleeps) {
  EXPECT_EQ(without({.window = 1, .rest_fence = false}), kLost);
}
TEST(ModelSleepRules, RingingWhenTheResultRingIsFull) {
  EXPECT_EQ(without({.window = 3, .capacity = 1, .coarse = true, .tells = false, .rings_when_full = false}), kLost);
}
TEST(ModelSleepRules, TellingBeforeSleepingForSpace) {
  EXPECT_EQ(without({.window = 3, .capacity = 1, .coarse = true, .tells = false}), kLost);
}

TEST(ModelSleepRules, TheFenceInTake) {
  EXPECT_EQ(without({.window = 3, .endless = true, .take_fence = false}), kLost);
}
TEST(ModelSleepRules, TheMembarrierBeforeTheDispatcherSleeps) {
  EXPECT_EQ(without({.window = 4, .coarse = true, .endless = true, .membarrier = false}), kLost);
}

}  // namespace
}  // namespace brood::channel::testing
