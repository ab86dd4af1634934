// Room in the task ring: a frame that streams through it, and a frame that waits for the room of one that was answered,
// in every interleaving.
//
// The worker follows run_streamed, next, run and wait_for_frame (src/pool/worker.cpp), the dispatcher stream_out and
// send_parcel (src/pool/feed.cpp) and rest (src/pool/dispatcher.cpp). The ring holds two units; the first frame has
// three and streams, the second has two and is written only when it fits as a whole.
#include "channel/explorer.hpp"

namespace brood::channel::testing {
namespace {

enum Word : Byte { kTasks, kReleased, kResults, kSleep, kEpoch, kWantsSpace, kWords };
enum Process : Byte { kDispatcher, kWorker, kProcesses };
constexpr Byte kCapacity = 2, kStreamed = 3, kAll = 5;

struct Rules {
  bool rings_for_room = true;       // a worker that released rings if room is wanted
  bool looks_for_room = true;       // rest() asks for room of the stream before it sleeps
  bool watches_blocked = true;      // and for that of a frame that did not fit
  bool fence_after_release = true;  // in next()
  bool tells = true;                // a worker rings once more when it has said that it sleeps
};

enum class At : Byte {
  release,  // in next(): the previous bytes
  release_fence,
  read_wants,
  ring_room,
  ready,
  say_sleep,
  sleep_fence,
  tell,
  futex,
  asleep,
  say_awake,
  result,
  end_release,
  end_wants,
  end_fence,
  end_ring,
  window,
  idle_fence,
  idle_ring,
};

enum class Do : Byte {
  drain,
  stream,
  say_enough,
  second,
  bell_fence,
  bell_wake,
  say_rest,
  rest_fence,
  look_results,
  look_room,
  poll,
  say_up,
  done,
};

struct State {
  BufferedMemory<kWords, kProcesses, 4> memory;
  Byte doorbell;
  At at;
  Byte read;  // units the worker has seen
  Byte streaming;
  Byte answers;
  Byte rung;
  Do doing;
  Byte written;
  Byte answered;
  Byte epoch;
};

class SpaceModel {
 public:
  using State = testing::State;

  explicit SpaceModel(const Rules& rules) : rules_(rules) {}

  State initial() const {
    State state{};
    state.at = At::window;
    state.doing = Do::stream;
    state.memory.words[kWantsSpace] = 1;
    return state;
  }
  const char* problem(const State& s) const {
    return s.written - s.memory.words[kReleased] > kCapacity ? "bytes that were not read are overwritten" : nullptr;
  }
  bool may_end(const State& s) const { return s.doing == Do::done; }

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
  static void ring(State& s) {
    const Byte epoch = s.memory.load(kWorker, kEpoch);
    if (epoch == 0 || epoch == s.rung) return;
    s.rung = epoch;
    s.doorbell = 1;
  }
  static void wake(State& s) {
    if (s.memory.load(kDispatcher, kSleep) != 0 && s.at == At::asleep) s.at = At::say_awake;
  }
  static void begin_frame(State& s) {
    s.streaming = s.read == 0 ? 1 : 0;
    s.at = s.streaming != 0 ? At::release : At::result;
    if (s.streaming == 0) s.read = kAll;
  }

  template <class Emit>
  void worker(const State& s, Emit emit) const {
    State t = s;
    const bool drained = s.memory.drained(kWorker);
    switch (s.at) {
      case At::window:
        if (s.memory.load(kWorker, kTasks) == s.read) {
          t.at = At::idle_fence;
        } else {
          begin_frame(t);
        }
        return emit("worker: looks for a frame", t);
      case At::idle_fence:
        if (!drained) return;
        t.at = At::idle_ring;
        return emit("worker: fence, has no frame", t);
      case At::idle_ring:
        ring(t);
        t.at = At::ready;
        return emit("worker: rings if the dispatcher sleeps (no frame)", t);
      case At::release:
        t.memory.store(kWorker, kReleased, s.read);
        t.at = At::release_fence;
        return emit("worker: releases what it has read", t);
      case At::release_fence:
        if (rules_.fence_after_release && !drained) return;
        t.at = At::read_wants;
        return emit("worker: fence after releasing", t);
      case At::read_wants:
        t.at = rules_.rings_for_room && s.memory.load(kWorker, kWantsSpace) != 0 ? At::ring_room : At::ready;
        return emit("worker: reads wants_space", t);
      case At::ring_room:
        ring(t);
        t.at = At::ready;
        return emit("worker: rings if the dispatcher sleeps (room)", t);
      case At::ready: {
        const Byte tasks = s.memory.load(kWorker, kTasks);
        if (tasks == s.read) {
          t.at = At::say_sleep;
        } else if (s.streaming == 0) {
          begin_frame(t);
        } else {
          t.read = std::min(tasks, kStreamed);
          t.at = t.read == kStreamed ? At::result : At::release;
        }
        return emit("worker: looks for more", t);
      }
      case At::say_sleep:
        t.memory.store(kWorker, kSleep, 1);
        t.at = At::sleep_fence;
        return emit("worker: sleep = for tasks", t);
      case At::sleep_fence:
        if (!drained) return;
        t.at = rules_.tells ? At::tell : At::futex;
        return emit("worker: fence, is going to sleep", t);
      case At::tell:
        ring(t);
        t.at = At::futex;
        return emit("worker: rings if the dispatcher sleeps (going to sleep)", t);
      case At::futex:
        t.at = s.memory.words[kTasks] == s.read ? At::asleep : At::say_awake;
        return emit("worker: futex_wait", t);
      case At::asleep:
        return;
      case At::say_awake:
        t.memory.store(kWorker, kSleep, 0);
        t.at = At::ready;
        return emit("worker: sleep = awake", t);
      case At::result:
        t.memory.store(kWorker, kResults, ++t.answers);
        t.streaming = 0;
        t.at = At::end_release;
        return emit("worker: publishes a result", t);
      case At::end_release:
        t.memory.store(kWorker, kReleased, s.read);
        t.at = At::end_wants;
        return emit("worker: releases the frame", t);
      case At::end_wants:
        t.at = s.memory.load(kWorker, kWantsSpace) != 0 ? At::end_fence : At::window;
        return emit("worker: reads wants_space after the frame", t);
      case At::end_fence:
        if (!drained) return;
        t.at = At::end_ring;
        return emit("worker: fence after the frame", t);
      case At::end_ring:
        ring(t);
        t.at = At::window;
        return emit("worker: rings if the dispatcher sleeps (frame done)", t);
    }
  }

  static Byte room(const State& s) {
    return static_cast<Byte>(kCapacity - (s.written - s.memory.load(kDispatcher, kReleased)));
  }

  template <class Emit>
  void dispatcher(const State& s, Emit emit) const {
    State t = s;
    const bool drained = s.memory.drained(kDispatcher);
    switch (s.doing) {
      case Do::drain:
        t.answered = s.memory.load(kDispatcher, kResults);
        t.doing = t.answered == 2                       ? Do::done
                  : s.written < kStreamed               ? Do::stream
                  : s.written < kAll && t.answered == 1 ? Do::second
                                                        : Do::say_rest;
        return emit("dispatcher: drains", t);
      case Do::stream: {
        const Byte count = std::min(room(s), static_cast<Byte>(kStreamed - s.written));
        if (count == 0) {
          t.doing = Do::say_rest;
          return emit("dispatcher: finds no room for the stream", t);
        }
        t.written = static_cast<Byte>(s.written + count);
        t.memory.store(kDispatcher, kTasks, t.written);
        t.doing = t.written == kStreamed ? Do::say_enough : Do::bell_fence;
        return emit("dispatcher: streams", t);
      }
      case Do::say_enough:
        t.memory.store(kDispatcher, kWantsSpace, 0);
        t.doing = Do::bell_fence;
        return emit("dispatcher: wants_space = 0", t);
      case Do::second:
        if (room(s) < kCapacity) {
          t.doing = Do::say_rest;
          return emit("dispatcher: finds no room for the second frame", t);
        }
        t.written = kAll;
        t.memory.store(kDispatcher, kTasks, kAll);
        t.doing = Do::bell_fence;
        return emit("dispatcher: publishes the second frame", t);
      case Do::bell_fence:
        if (!drained) return;
        t.doing = Do::bell_wake;
        return emit("dispatcher: fence after publishing", t);
      case Do::bell_wake:
        wake(t);
        t.doing = Do::drain;
        return emit("dispatcher: wakes the worker if it sleeps", t);
      case Do::say_rest:
        t.memory.store(kDispatcher, kEpoch, ++t.epoch);
        t.doing = Do::rest_fence;
        return emit("dispatcher: sleep_epoch = new", t);
      case Do::rest_fence:
        if (!drained) return;
        t.doing = Do::look_results;
        return emit("dispatcher: fence, is going to sleep", t);
      case Do::look_results:
        t.doing = s.memory.load(kDispatcher, kResults) != s.answered ? Do::say_up : Do::look_room;
        return emit("dispatcher: looks for results", t);
      case Do::look_room: {
        const bool streams = s.written < kStreamed && rules_.looks_for_room && room(s) > 0;
        const bool fits = s.written == kStreamed && s.answered == 1 && rules_.watches_blocked && room(s) == kCapacity;
        t.doing = streams || fits ? Do::say_up : Do::poll;
        return emit("dispatcher: looks for room", t);
      }
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

TEST(ModelSpace, NoWakeUpIsLost) {
  const Verdict verdict = explore(SpaceModel({}));
  EXPECT_EQ(verdict.problem, "") << verdict.text();
  EXPECT_GT(verdict.states, 1000U);
}

// What each rule is good for: leaving it out loses a wake-up.
constexpr const char* kLost = "nothing can happen any more";
std::string without(Rules rules) { return explore(SpaceModel(rules)).problem; }

// Either of these would do; the first saves the worker a sleep.
TEST(ModelSpace, RingingForRoomOrTelling) {
  EXPECT_EQ(without({.rings_for_room = false}), "");
  EXPECT_EQ(without({.fence_after_release = false}), "");
  EXPECT_EQ(without({.tells = false}), "");
  EXPECT_EQ(without({.rings_for_room = false, .tells = false}), kLost);
  EXPECT_EQ(without({.fence_after_release = false, .tells = false}), kLost);
}
TEST(ModelSpace, LookingForRoomBeforeSleeping) { EXPECT_EQ(without({.looks_for_room = false}), kLost); }
TEST(ModelSpace, LookingForTheRoomOfABlockedFrame) { EXPECT_EQ(without({.watches_blocked = false}), kLost); }

}  // namespace
}  // namespace brood::channel::testing
