// Tasks that are tried again after their worker died.
#include <stdexcept>
#include <vector>

#include "pool/support.hpp"

namespace brood::pool_tests {
namespace {

// Counts its runs and dies in the first `deaths` of them.
struct Unlucky {
  Counter* runs;
  int deaths;
  int how;
  int operator()(int x) const {
    if (++runs[x] <= deaths) die(static_cast<Death>(how));
    return -x;
  }
  template <class A>
  void serialize(A& archive) {
    auto address = reinterpret_cast<std::uintptr_t>(runs);
    archive(address, deaths, how);
    runs = reinterpret_cast<Counter*>(address);
  }
};

class Retries : public EveryDeath {
 protected:
  Unlucky unlucky(int deaths) const { return {runs_.get(), deaths, static_cast<int>(GetParam())}; }
  void expect_runs(int each) {
    for (Counter& run : runs_) EXPECT_EQ(run.exchange(0), each);
  }

  static constexpr int kTasks = 12;
  Counters runs_{kTasks};
  Pool pool_{2};
  std::vector<int> negated_ = [] {
    auto all = numbers(kTasks);
    for (int& x : all) x = -x;
    return all;
  }();
};
INSTANTIATE_TEST_SUITE_P(All, Retries, ::testing::ValuesIn(kDeaths), name_of_death);

TEST_P(Retries, SucceedAfterADeath) {
  for (const std::size_t chunksize : {0U, 1U, 5U, 12U}) {
    const auto list = pool_.with({.chunksize = chunksize, .retries = 1});
    EXPECT_EQ(list.map(unlucky(1), numbers(kTasks)), negated_);
    expect_runs(2);
    EXPECT_EQ(list.map_async(unlucky(1), numbers(kTasks)).get(), negated_);
    expect_runs(2);
    std::vector<int> streamed;
    for (const int x : list.imap(unlucky(1), numbers(kTasks))) streamed.push_back(x);
    EXPECT_EQ(streamed, negated_);
    expect_runs(2);
  }
}

TEST_P(Retries, AreExhausted) {
  const auto with = pool_.with({.retries = 2});
  EXPECT_EQ(thrown_by<WorkerDied>([&] { with.apply(unlucky(3), 5); }).exitcode(), exitcode_of(GetParam()));
  EXPECT_EQ(runs_[5], 3);
  EXPECT_THROW(with.apply_async(unlucky(6), 5).get(), WorkerDied);
  EXPECT_EQ(runs_[5].exchange(0), 6);
  EXPECT_EQ(with.apply(unlucky(2), 5), -5);
  EXPECT_EQ(runs_[5], 3);
  expect_works(pool_);
}

TEST_P(Retries, AreNotTheDefault) {
  EXPECT_THROW(pool_.apply(unlucky(1), 1), WorkerDied);
  EXPECT_EQ(runs_[1], 1);
}

TEST_P(Retries, OfOneTaskInAStream) {
  auto stream = pool_.with({.chunksize = 3, .retries = 1})
                    .imap(
                        [runs = runs_.get(), how = GetParam()](int x) {
                          ++runs[x];
                          if (x == 7) die(how);  // each time
                          return -x;
                        },
                        numbers(kTasks));
  for (int x = 0; x < kTasks; ++x) {
    if (x == 7) {
      EXPECT_EQ(thrown_by<WorkerDied>([&] { stream.next(); }).task_index(), 7U);
    } else {
      EXPECT_EQ(stream.next(), -x);
    }
  }
  for (int x = 0; x < kTasks; ++x) EXPECT_EQ(runs_[static_cast<std::size_t>(x)], x == 7 ? 2 : 1) << x;
}

TEST(RetriesOf, ExceptionsAreNone) {
  Counters runs;
  Pool pool(2);
  EXPECT_THROW(pool.with({.retries = 5}).apply([runs = runs.get()] {
    ++*runs;
    throw std::domain_error("the task's own");
  }),
               std::domain_error);
  EXPECT_EQ(*runs, 1);
}

// The bytes of the argument are kept for the second try, whatever their size.
TEST(RetriesOf, LargeArguments) {
  Counters runs;
  Pool pool(2);
  const std::vector<double> large(1'000'000, 2.0);
  const auto task = [runs = runs.get()](const std::vector<double>& x) {
    if (++*runs % 3 != 0) die(Death::killed);
    return x;
  };
  EXPECT_EQ(pool.with({.retries = 2}).apply(task, large), large);
  EXPECT_EQ(pool.with({.retries = 2}).apply_async(task, large).get(), large);
  EXPECT_EQ(pool.with({.retries = 2}).map(task, std::vector<std::vector<double>>{large}).front(), large);
  EXPECT_EQ(*runs, 9);
  expect_works(pool);
}

}  // namespace
}  // namespace brood::pool_tests
