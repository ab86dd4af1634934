// Who has which task: taking, revoking, declining, and the death of the worker, in every interleaving.
//
// The worker follows Worker::run_frame, take and decline (src/pool/worker.cpp), the dispatcher revoke, end_revocation,
// handle_declined and bury (src/pool/recover.cpp, drain.cpp). "Elsewhere" is another worker, which runs at once what it
// is given.
#include "channel/explorer.hpp"

namespace brood::channel::testing {
namespace {

// Tasks 1 to 4 are sent in two frames of two; task 5 in a third one once the others are answered.
constexpr Byte kTasks = 5;
constexpr Byte kFrames = 3;
constexpr Byte kFirstOf[kFrames] = {1, 3, 5};
constexpr Byte kCountOf[kFrames] = {2, 2, 1};
constexpr Byte kNever = 0xFF;

enum Word : Byte { kTail, kTaken, kRevokeFrom, kResults, kWords };
enum Process : Byte { kDispatcher, kWorker, kProcesses };

// What can be left out, to see what it is good for.
struct Rules {
  bool batch = false;  // take() without a fence, revoke() with a membarrier
  bool fence_in_take = true;
  bool membarrier = true;
  bool ledger_before_task = true;  // not: it is written when the task has ended
  bool look_again = true;          // revoke() reads the ledger after it has written revoke_from
  bool undecided_go_elsewhere = true;
  bool results_before_ledger_is_read = true;  // bury() drains first
  bool may_die = true;
  Byte revocations = 2;
};

enum class At : Byte { wait, take, look, work, answer, decline, dead };
enum class Do : Byte { nothing, write_revoke, fence, look_again, bury, read_ledger, done };
enum class Fate : Byte { none, answered, died, elsewhere };

struct Record {
  Byte declined;  // 0: a value
};

struct State {
  BufferedMemory<kWords, kProcesses, 4> memory;
  // The worker's.
  At at;
  Byte sequence;
  Byte begun[kTasks + 1];
  Byte records;
  Record record[kTasks];
  // The dispatcher's.
  Do doing;
  Byte published;  // frames
  Byte consumed;   // records
  Byte answered;
  Byte revoked;  // 0 or where from
  Byte wanted;   // what revoke() is about to write
  Byte revocations;
  Byte reclaimed[kFrames];
  Fate fate[kTasks + 1];
  Byte twice;     // a task had two fates
  Byte confused;  // the dispatcher would call the channel damaged
};

class TakeModel {
 public:
  using State = testing::State;

  explicit TakeModel(const Rules& rules) : rules_(rules) {}

  State initial() const {
    State state{};
    state.memory.words[kTail] = 4;
    state.memory.words[kRevokeFrom] = kNever;
    state.published = 2;
    return state;
  }

  const char* problem(const State& state) const {
    if (state.twice != 0) return "a task was answered twice";
    if (state.confused != 0) return "the dispatcher takes an honest worker for a damaged one";
    for (Byte i = 1; i <= kTasks; ++i) {
      if (state.begun[i] != 0 && state.fate[i] == Fate::elsewhere) return "a task ran twice";
      if (state.fate[i] == Fate::died && state.begun[i] == 0 && i > state.memory.words[kTaken]) {
        return "a death is blamed on a task that was not taken";
      }
    }
    return nullptr;
  }

  bool may_end(const State& state) const {
    for (Byte i = 1; i <= kTasks; ++i) {
      if (state.fate[i] == Fate::none) return false;
    }
    return true;
  }

  template <class Emit>
  void next(const State& s, Emit emit) const {
    for (const Process process : {kDispatcher, kWorker}) {
      if (s.memory.drained(process)) continue;
      State t = s;
      t.memory.drain_one(process);
      emit(process == kWorker ? "memory: a store of the worker arrives" : "memory: a store of the dispatcher arrives",
           t);
    }
    worker(s, emit);
    dispatcher(s, emit);
  }

 private:
  static Byte frame_of(Byte task) { return task <= 2 ? Byte{0} : task <= 4 ? Byte{1} : Byte{2}; }
  static Byte end_of(Byte task) {
    const Byte frame = frame_of(task);
    return static_cast<Byte>(kFirstOf[frame] + kCountOf[frame] - 1);
  }

  template <class Emit>
  void worker(const State& s, Emit emit) const {
    if (s.at == At::dead) return;
    if (rules_.may_die) {
      State t = s;
      t.at = At::dead;
      emit("worker: is killed", t);
    }
    if (!s.memory.has_room(kWorker)) return;
    State t = s;
    switch (s.at) {
      case At::wait:
        if (s.sequence >= s.memory.load(kWorker, kTail)) return;
        t.at = At::take;
        return emit("worker: sees a frame", t);
      case At::take:
        ++t.sequence;
        if (!rules_.batch && rules_.fence_in_take && !s.memory.drained(kWorker)) return;
        if (rules_.ledger_before_task) {
          if (!rules_.batch && rules_.fence_in_take) {
            t.memory.words[kTaken] = t.sequence;
          } else {
            t.memory.store(kWorker, kTaken, t.sequence);
          }
        }
        t.at = At::look;
        return emit("worker: taken = next", t);
      case At::look:
        t.at = s.sequence < s.memory.load(kWorker, kRevokeFrom) ? At::work : At::decline;
        return emit("worker: reads revoke_from", t);
      case At::work:
        t.begun[s.sequence] = 1;
        t.at = At::answer;
        return emit("worker: begins the task", t);
      case At::answer:
        if (!rules_.ledger_before_task) t.memory.store(kWorker, kTaken, s.sequence);
        t.record[t.records++] = {};
        t.memory.store(kWorker, kResults, t.records);
        t.at = s.sequence == end_of(s.sequence) ? At::wait : At::take;
        return emit("worker: publishes the result", t);
      case At::decline:
        t.record[t.records++].declined = static_cast<Byte>(end_of(s.sequence) - s.sequence + 1);
        t.memory.store(kWorker, kResults, t.records);
        t.sequence = end_of(s.sequence);
        t.at = At::wait;
        return emit("worker: declines the rest of the frame", t);
      case At::dead:
        return;
    }
  }

  template <class Emit>
  void dispatcher(const State& s, Emit emit) const {
    State t = s;
    switch (s.doing) {
      case Do::nothing: {
        if (s.consumed < s.memory.load(kDispatcher, kResults)) {
          drain(t);
          emit("dispatcher: drains", t);
          t = s;
        }
        if (s.revocations < rules_.revocations && s.revoked == 0 && s.answered < sent(s)) {
          t.wanted = static_cast<Byte>(std::max(s.memory.load(kDispatcher, kTaken), s.answered) + 1);
          t.revoked = t.wanted;
          ++t.revocations;
          t.doing = Do::write_revoke;
          emit("dispatcher: reads the ledger, will revoke", t);
          t = s;
        }
        // The end is reported by the kernel, which the dead worker's stores precede.
        if (s.at == At::dead && s.memory.drained(kWorker)) {
          t.doing = rules_.results_before_ledger_is_read ? Do::bury : Do::read_ledger;
          emit("dispatcher: hears of the death", t);
        }
        return;
      }
      case Do::write_revoke:
        if (!s.memory.has_room(kDispatcher)) return;
        t.memory.store(kDispatcher, kRevokeFrom, s.wanted);
        t.doing = Do::fence;
        return emit("dispatcher: revoke_from = next", t);
      case Do::fence:
        if (!s.memory.drained(kDispatcher)) return;
        if (rules_.batch && rules_.membarrier) t.memory.drain(kWorker);
        t.doing = Do::look_again;
        return emit("dispatcher: fence", t);
      case Do::look_again: {
        const Byte may_have_begun =
            rules_.look_again ? s.memory.load(kDispatcher, kTaken) : static_cast<Byte>(s.wanted - 1);
        reclaim(t, may_have_begun);
        t.doing = Do::nothing;
        return emit("dispatcher: reads the ledger again, reclaims", t);
      }
      case Do::bury:
        drain(t);
        t.doing = Do::read_ledger;
        return emit("dispatcher: takes what was committed", t);
      case Do::read_ledger:
        bury(t, s.memory.load(kDispatcher, kTaken));
        t.doing = Do::done;
        return emit("dispatcher: reads the ledger of the dead", t);
      case Do::done:
        return;
    }
  }

  static Byte sent(const State& s) { return s.published == 3 ? 5 : 4; }

  static void decide(State& s, Byte task, Fate fate) {
    if (s.fate[task] != Fate::none) s.twice = 1;
    s.fate[task] = fate;
  }

  static bool is_reclaimed(const State& s, Byte task) { return task > end_of(task) - s.reclaimed[frame_of(task)]; }

  void drain(State& s) const {
    const Byte visible = s.memory.load(kDispatcher, kResults);
    for (; s.consumed < visible; ++s.consumed) {
      const Record record = s.record[s.consumed];
      if (s.answered == sent(s)) s.confused = 1;
      if (s.confused != 0) return;
      const Byte next = static_cast<Byte>(s.answered + 1);
      if (record.declined == 0) {
        if (is_reclaimed(s, next)) s.confused = 1;
        decide(s, next, Fate::answered);
        ++s.answered;
        continue;
      }
      if (next + record.declined - 1 != end_of(next)) s.confused = 1;
      for (Byte i = next; i < next + record.declined; ++i) {
        if (!is_reclaimed(s, i) && rules_.undecided_go_elsewhere) decide(s, i, Fate::elsewhere);
      }
      s.answered = static_cast<Byte>(s.answered + record.declined);
    }
    if (s.answered == sent(s) && s.doing == Do::nothing) end_round(s);
  }

  // end_revocation, then feed. The stores are in order, so the worker cannot see the frame without them.
  void end_round(State& s) const {
    if (s.revoked != 0) {
      s.revoked = 0;
      s.memory.drain(kDispatcher);
      s.memory.words[kRevokeFrom] = kNever;
    }
    if (s.published == 3) return;
    s.published = 3;
    s.memory.store(kDispatcher, kTail, 5);
  }

  void reclaim(State& s, Byte may_have_begun) const {
    for (Byte frame = 0; frame < s.published; ++frame) {
      const Byte end = static_cast<Byte>(kFirstOf[frame] + kCountOf[frame]);
      if (end <= may_have_begun + 1 || end <= s.answered + 1) continue;
      const Byte first =
          std::max({kFirstOf[frame], static_cast<Byte>(s.answered + 1), static_cast<Byte>(may_have_begun + 1)});
      for (Byte i = first; i < end; ++i) decide(s, i, Fate::elsewhere);
      s.reclaimed[frame] = static_cast<Byte>(end - first);
    }
  }

  void bury(State& s, Byte taken) const {
    bool crashed = taken > s.answered;
    for (Byte i = static_cast<Byte>(s.answered + 1); i <= kTasks; ++i) {
      const bool elsewhere_already = i <= sent(s) && is_reclaimed(s, i);
      if (!elsewhere_already) decide(s, i, crashed ? Fate::died : Fate::elsewhere);
      crashed = false;
    }
  }

  const Rules rules_;
};

Verdict verdict(const Rules& rules) { return explore(TakeModel(rules)); }

TEST(ModelTake, EveryTaskRunsOnceAndIsAnsweredOnce) {
  const Verdict result = verdict({});
  EXPECT_EQ(result.problem, "") << result.text();
  EXPECT_GT(result.states, 1000U);
  RecordProperty("states", static_cast<int>(result.states));
}

TEST(ModelTake, InBatchesToo) {
  const Verdict result = verdict({.batch = true});
  EXPECT_EQ(result.problem, "") << result.text();
}

TEST(ModelTake, WithoutADeath) {
  for (const bool batch : {false, true}) {
    const Verdict result = verdict({.batch = batch, .may_die = false});
    EXPECT_EQ(result.problem, "") << result.text();
  }
}

// What each rule is good for.
TEST(ModelTake, WithoutTheFenceATaskRunsTwice) {
  EXPECT_EQ(verdict({.fence_in_take = false}).problem, "a task ran twice");
}

TEST(ModelTake, WithoutTheMembarrierATaskOfABatchRunsTwice) {
  EXPECT_EQ(verdict({.batch = true, .membarrier = false}).problem, "a task ran twice");
}

TEST(ModelTake, WithoutTheSecondLookATaskRunsTwice) {
  EXPECT_EQ(verdict({.look_again = false, .may_die = false}).problem, "a task ran twice");
}

TEST(ModelTake, WithALateLedgerATaskRunsTwice) {
  EXPECT_EQ(verdict({.ledger_before_task = false, .revocations = 0}).problem, "a task ran twice");
}

TEST(ModelTake, WhatIsDeclinedMustGoOn) {
  EXPECT_EQ(verdict({.undecided_go_elsewhere = false, .may_die = false}).problem, "nothing can happen any more");
}

TEST(ModelTake, ResultsOfTheDeadCountBeforeItsLedger) {
  EXPECT_NE(verdict({.results_before_ledger_is_read = false, .revocations = 0}).problem, "");
}

}  // namespace
}  // namespace brood::channel::testing
