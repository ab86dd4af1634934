// Values that fail on their way: while they are written or read, in the caller or in the worker, by an exception or by
// death.
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "pool/support.hpp"

namespace brood::pool_tests {
namespace {

enum class Place { nowhere, save_in_caller, load_in_worker, save_in_worker, load_in_caller };
enum class Way { throws, throws_int, dies };

// A value with a mine: it goes off when it is written or read in the chosen place.
struct Mine {
  int value = 0;
  Place place = Place::nowhere;
  Way way = Way::throws;
  Death death = Death::killed;
  pid_t caller = ::getpid();

  Mine() = default;
  Mine(int number, Place where, Way how = Way::throws, Death of = Death::killed)
      : value(number), place(where), way(how), death(of) {}

  template <class A>
  void serialize(A& archive) {
    if (A::is_saving::value) step_on(::getpid() == caller ? Place::save_in_caller : Place::save_in_worker);
    archive(value, place, way, death, caller);
    if (A::is_loading::value) step_on(::getpid() == caller ? Place::load_in_caller : Place::load_in_worker);
  }

  void step_on(Place here) const {
    if (here != place) return;
    if (way == Way::dies) die(death);
    if (way == Way::throws_int) throw 42;
    throw std::domain_error("mine " + std::to_string(value));
  }
};

int value_of(const Mine& mine) { return mine.value; }
Mine echo(const Mine& mine) { return mine; }

class CodecFailures : public ::testing::Test {
 protected:
  // The 13th of 40 goes off at `place`; every verb says so and leaves the pool in order.
  void expect_error_for_that_task(Place place, bool in_argument) {
    std::vector<Mine> mines;
    for (int i = 0; i < 40; ++i) mines.emplace_back(i, i == 13 ? place : Place::nowhere);
    expect_remote_or_domain_error([&] { pool_.apply(echo, mines[13]); });
    EXPECT_EQ(pool_.apply(value_of, mines[12]), 12);
    std::vector<AsyncResult<Mine>> answers;
    for (const Mine& mine : mines) {
      try {
        answers.push_back(pool_.apply_async(echo, mine));
      } catch (const std::domain_error&) {
        EXPECT_EQ(place, Place::save_in_caller);
        EXPECT_EQ(mine.value, 13);
        answers.emplace_back();
      }
    }
    for (std::size_t i = 0; i < answers.size(); ++i) {
      if (i != 13) {
        EXPECT_EQ(answers[i].get().value, static_cast<int>(i));
      } else if (place != Place::save_in_caller) {
        expect_remote_or_domain_error([&] { answers[i].get(); });
      }
    }
    for (const std::size_t chunksize : {0U, 1U, 5U, 40U}) {
      const auto list = pool_.with({.chunksize = chunksize});
      expect_remote_or_domain_error([&] { list.map(echo, mines); });
      expect_remote_or_domain_error([&] { list.map_async(echo, mines).get(); });
      expect_stream(list.imap(echo, mines), in_argument && place == Place::save_in_caller);
    }
    expect_works(pool_);
  }

  // All but the 13th arrive, or, when the input itself fails, all before it.
  void expect_stream(ResultStream<Mine> stream, bool input_fails) {
    int errors = 0;
    std::vector<int> got;
    while (!stream.done()) {
      try {
        if (const auto mine = stream.next()) got.push_back(mine->value);
      } catch (const std::domain_error& error) {
        EXPECT_STREQ(error.what(), "mine 13");
        ++errors;
      }
    }
    EXPECT_EQ(errors, 1);
    std::vector<int> expected = numbers(input_fails ? 13 : 40);
    std::erase(expected, 13);
    EXPECT_EQ(got, expected);
  }

  template <class F>
  void expect_remote_or_domain_error(F f) {
    EXPECT_EQ(std::string(thrown_by<std::domain_error>(f).what()), "mine 13");
  }

  Pool pool_{2};
};

TEST_F(CodecFailures, ArgumentThrowsWhenWritten) { expect_error_for_that_task(Place::save_in_caller, true); }
TEST_F(CodecFailures, ArgumentThrowsWhenReadInTheWorker) { expect_error_for_that_task(Place::load_in_worker, true); }
TEST_F(CodecFailures, ResultThrowsWhenWritten) { expect_error_for_that_task(Place::save_in_worker, false); }
TEST_F(CodecFailures, ResultThrowsWhenReadInTheCaller) { expect_error_for_that_task(Place::load_in_caller, false); }

TEST_F(CodecFailures, WhatIsThrownNeedNotBeAnException) {
  const Mine outward(1, Place::save_in_caller, Way::throws_int);
  EXPECT_EQ(thrown_by<int>([&] { pool_.apply(value_of, outward); }), 42);
  EXPECT_EQ(thrown_by<int>([&] { pool_.apply_async(value_of, outward); }), 42);
  EXPECT_EQ(thrown_by<int>([&] { pool_.map(value_of, std::vector<Mine>(5, outward)); }), 42);
  EXPECT_EQ(thrown_by<int>([&] { pool_.imap(value_of, std::vector<Mine>(5, outward)).next(); }), 42);
  for (const Place place : {Place::load_in_worker, Place::save_in_worker}) {
    const auto error = thrown_by<RemoteError>([&] { pool_.apply(echo, Mine(1, place, Way::throws_int)); });
    EXPECT_EQ(error.type_name(), "int");
  }
  const Mine homeward(1, Place::load_in_caller, Way::throws_int);
  EXPECT_EQ(thrown_by<int>([&] { pool_.apply(echo, homeward); }), 42);
  EXPECT_EQ(thrown_by<int>([&] { pool_.apply_async(echo, homeward).get(); }), 42);
  expect_works(pool_);
}

TEST_F(CodecFailures, InWhatIsBound) {
  const auto task = [&](Place place) { return brood::bind(value_of, Mine(13, place)); };
  expect_remote_or_domain_error([&] { pool_.apply(task(Place::save_in_caller)); });
  expect_remote_or_domain_error([&] { pool_.apply_async(task(Place::save_in_caller)); });
  expect_remote_or_domain_error([&] { pool_.apply(task(Place::load_in_worker)); });
  expect_remote_or_domain_error([&] { pool_.apply_async(task(Place::load_in_worker)).get(); });
  EXPECT_EQ(pool_.apply(task(Place::nowhere)), 13);
  expect_works(pool_);
}

// After bytes that go in both directions are already on their way.
TEST_F(CodecFailures, LateInALargeValue) {
  const std::size_t count = scaled(100'000);
  const auto mines = [count](Place place) {
    std::vector<Mine> all(count, Mine(1, Place::nowhere));
    all.back() = Mine(13, place);
    return all;
  };
  const auto echo_all = [](const std::vector<Mine>& all) { return all; };
  for (const Place place :
       {Place::save_in_caller, Place::load_in_worker, Place::save_in_worker, Place::load_in_caller}) {
    expect_remote_or_domain_error([&] { pool_.apply(echo_all, mines(place)); });
    expect_remote_or_domain_error([&] { pool_.apply_async(echo_all, mines(place)).get(); });
    EXPECT_EQ(pool_.apply(echo_all, mines(Place::nowhere)).size(), count);
  }
  expect_works(pool_);
}

// The error is there while most of the value is still on its way; the caller's memory goes at once.
TEST_F(CodecFailures, EarlyInALargeValue) {
  struct Parcel {
    Mine first;
    std::vector<double> rest;
  };
  const auto parcel = [](Place place) {
    return std::make_unique<Parcel>(Parcel{Mine(13, place), std::vector<double>(scaled(1'000'000), 1.0)});
  };
  const auto echo_it = [](std::unique_ptr<Parcel> x) { return x; };
  for (const Place place :
       {Place::save_in_caller, Place::load_in_worker, Place::save_in_worker, Place::load_in_caller}) {
    for (int round = 0; round < 3; ++round) {
      expect_remote_or_domain_error([&] { pool_.apply(echo_it, parcel(place)); });
      expect_remote_or_domain_error([&] { pool_.apply_async(echo_it, parcel(place)).get(); });
      std::vector<std::unique_ptr<Parcel>> list;
      list.push_back(parcel(place));
      expect_remote_or_domain_error([&] { pool_.map(echo_it, list); });
      list.clear();
      EXPECT_EQ(pool_.apply(echo_it, parcel(Place::nowhere))->rest.size(), scaled(1'000'000));
    }
  }
  expect_works(pool_);
}

// --- death ---------------------------------------------------------------------------------------------------------

class CodecDeaths : public EveryDeath {};
INSTANTIATE_TEST_SUITE_P(All, CodecDeaths, ::testing::ValuesIn(kDeaths), name_of_death);

TEST_P(CodecDeaths, InTheWorker) {
  Pool pool(2);
  for (const Place place : {Place::load_in_worker, Place::save_in_worker}) {
    std::vector<Mine> mines;
    for (int i = 0; i < 40; ++i) mines.emplace_back(i, i == 13 ? place : Place::nowhere, Way::dies, GetParam());
    const auto error = thrown_by<WorkerDied>([&] { pool.apply(echo, mines[13]); });
    EXPECT_EQ(error.exitcode(), exitcode_of(GetParam()));
    EXPECT_EQ(thrown_by<WorkerDied>([&] { pool.map(echo, mines); }).task_index(), 13U);
    auto stream = pool.with({.chunksize = 8}).imap(echo, mines);
    for (int i = 0; i < 40; ++i) {
      if (i == 13) {
        EXPECT_EQ(thrown_by<WorkerDied>([&] { stream.next(); }).exitcode(), exitcode_of(GetParam()));
      } else {
        EXPECT_EQ(stream.next()->value, i);
      }
    }
    EXPECT_FALSE(stream.next());
    expect_works(pool);
  }
}

TEST_P(CodecDeaths, InWhatIsBound) {
  Pool pool(2);
  const auto task = brood::bind(value_of, Mine(13, Place::load_in_worker, Way::dies, GetParam()));
  // The worker dies before it knows of any task; the pool gives up on the task rather than trying for ever.
  EXPECT_THROW(pool.apply(task), Error);
  expect_works(pool);
}

// In the caller it is the caller's own death, and its workers go with it.
TEST_P(CodecDeaths, InTheCaller) {
  for (const Place place : {Place::save_in_caller, Place::load_in_caller}) {
    Pipe pids;
    const pid_t child = fork_child([&] {
      Pool pool(2);
      for (const pid_t pid : pool.pids()) pids.put_value(pid);
      pool.apply(echo, Mine(1, place, Way::dies, GetParam()));
      return 77;
    });
    const pid_t workers[] = {pids.get_value<pid_t>(), pids.get_value<pid_t>()};
    EXPECT_EQ(exit_code_of(child), exitcode_of(GetParam()));
    for (const pid_t worker : workers) EXPECT_TRUE(eventually([&] { return ::kill(worker, 0) != 0; }));
  }
}

}  // namespace
}  // namespace brood::pool_tests
