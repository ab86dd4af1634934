// Everything at once: several threads with random verbs, sizes and failures on one pool, while workers are killed. Each
// answer has to be the one of its task.
#include <algorithm>
#include <atomic>
#include <cstdint>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "pool/chaos.hpp"

namespace brood::pool_tests {
namespace {

enum class Fate { fine, throws, dies, load_throws, save_throws, arrival_throws, cannot_be_written, kCount };

const pid_t caller = ::getpid();

// What a task gets and returns: as large as wanted, and with a fate on its way.
struct Order {
  int id = 0;
  Fate fate = Fate::fine;
  std::uint32_t result_size = 0;
  std::string ballast;
  bool is_result = false;

  template <class A>
  void serialize(A& archive) {
    const bool here = ::getpid() == caller;
    if (A::is_saving::value && here && fate == Fate::cannot_be_written) fail();
    if (A::is_saving::value && !here && fate == Fate::save_throws) fail();
    archive(id, fate, result_size);
    if (A::is_loading::value && !here && fate == Fate::load_throws) fail();
    archive(ballast, is_result);
    if (A::is_loading::value && here && fate == Fate::arrival_throws) fail();
  }
  [[noreturn]] void fail() const { throw std::domain_error(std::to_string(id)); }
};

Order carry_out(Order order) {
  if (order.fate == Fate::throws) order.fail();
  if (order.fate == Fate::dies) die(Death::killed);
  order.ballast.assign(order.result_size, static_cast<char>('a' + order.id % 26));
  order.is_result = true;
  return order;
}
Order carry_out_parts(Order order, int id) {
  if (order.id != id) throw std::logic_error("mixed up");
  return carry_out(std::move(order));
}

class Storm {
 public:
  Storm(Pool& pool, unsigned seed, bool killed) : pool_(pool), random_(seed), killed_(killed) {}

  void rage(std::size_t rounds) {
    for (std::size_t i = 0; i < rounds; ++i) {
      switch (pick(7)) {
        case 0:
          one();
          break;
        case 1:
          submitted();
          break;
        case 2:
          list(false);
          break;
        case 3:
          list(true);
          break;
        case 4:
          stream(true);
          break;
        case 5:
          stream(false);
          break;
        default:
          cancelled();
      }
    }
  }
  int answers() const { return answers_; }

 private:
  unsigned pick(unsigned below) { return static_cast<unsigned>(random_() % below); }

  std::size_t some_size() {
    const unsigned kind = pick(20);
    if (kind == 0) return pick(500'000);
    if (kind < 3) return pick(40'000);
    return pick(200);
  }

  Order order(bool may_fail = true) {
    Order one;
    one.id = next_id_++;
    if (may_fail && pick(30) == 0) one.fate = static_cast<Fate>(pick(static_cast<unsigned>(Fate::kCount)));
    one.result_size = static_cast<std::uint32_t>(some_size());
    one.ballast.assign(some_size(), 'x');
    return one;
  }
  std::vector<Order> orders(bool may_fail = true) {
    std::vector<Order> all;
    const unsigned count = pick(10) == 0 ? pick(300) : pick(20);
    for (unsigned i = 0; i < count; ++i) all.push_back(order(may_fail));
    return all;
  }
  PoolWith with() {
    return pool_.with({.chunksize = pick(3) == 0 ? pick(50) : 0U,
                       .retries = pick(4) == 0 ? 2U : 0U,
                       .window = pick(3) == 0 ? 1 + pick(30) : 0U});
  }

  void check_value(const Order& sent, const Order& result) {
    ++answers_;
    ASSERT_EQ(result.id, sent.id);
    EXPECT_TRUE(result.is_result && (sent.fate == Fate::fine));
    EXPECT_EQ(result.ballast, std::string(sent.result_size, static_cast<char>('a' + sent.id % 26)));
  }
  // In a handler: whether the exception is one that this task may end with.
  void check_error(const Order& sent) {
    ++answers_;
    try {
      throw;
    } catch (const std::domain_error& error) {
      EXPECT_EQ(error.what(), std::to_string(sent.id));
      EXPECT_TRUE(sent.fate != Fate::fine && sent.fate != Fate::dies);
    } catch (const WorkerDied& error) {
      EXPECT_EQ(error.signal(), SIGKILL);
      EXPECT_TRUE(killed_ || sent.fate == Fate::dies);
    } catch (const Cancelled&) {
      EXPECT_TRUE(cancelling_);
    }
  }
  template <class F>
  void check(const Order& sent, F get) {
    try {
      check_value(sent, get());
    } catch (...) {
      check_error(sent);
    }
  }

  void one() {
    const Order sent = order();
    check(sent, [&] { return with().apply(carry_out, sent); });
  }

  void submitted() {
    const auto all = orders();
    std::vector<AsyncResult<Order>> answers(all.size());
    for (std::size_t i = 0; i < all.size(); ++i) {
      try {
        answers[i] = with().apply_async(carry_out, all[i]);
        if (pick(10) == 0) answers[i].then([](const Order&) {}).on_error([](const std::exception_ptr&) {});
      } catch (...) {
        check_error(all[i]);
        EXPECT_EQ(all[i].fate, Fate::cannot_be_written);
      }
    }
    for (std::size_t i = 0; i < all.size(); ++i) {
      if (all[i].fate != Fate::cannot_be_written) check(all[i], [&] { return answers[i].get(); });
    }
  }

  // All of it, or the error of the first that failed.
  void list(bool async) {
    const bool spread = pick(2) == 0;
    const auto all = orders(pick(2) == 0);
    std::vector<std::tuple<Order, int>> tuples;
    for (const Order& one : all) tuples.emplace_back(one, one.id);
    try {
      std::vector<Order> results;
      if (spread) {
        results = async ? with().starmap_async(carry_out_parts, tuples).get() : with().starmap(carry_out_parts, tuples);
      } else {
        results = async ? with().map_async(carry_out, all).get() : with().map(carry_out, all);
      }
      ASSERT_EQ(results.size(), all.size());
      for (std::size_t i = 0; i < all.size(); ++i) check_value(all[i], results[i]);
    } catch (const WorkerDied& error) {
      check_error(all.at(error.task_index()));
    } catch (const std::domain_error& error) {
      const auto bad =
          std::find_if(all.begin(), all.end(), [&](const Order& x) { return std::to_string(x.id) == error.what(); });
      ASSERT_NE(bad, all.end());
      check_error(*bad);
    }
  }

  void stream(bool ordered) {
    const auto all = orders();
    const auto options = with();
    auto results = ordered ? options.imap(carry_out, all) : options.imap_unordered(carry_out, all);
    const std::size_t wanted = pick(4) == 0 ? pick(static_cast<unsigned>(all.size() + 1)) : all.size();
    for (std::size_t i = 0; i < wanted; ++i) {
      try {
        const auto result = results.next();
        ASSERT_TRUE(result);
        const auto sent =
            ordered ? all.begin() + static_cast<std::ptrdiff_t>(i)
                    : std::find_if(all.begin(), all.end(), [&](const Order& x) { return x.id == result->id; });
        ASSERT_NE(sent, all.end());
        check_value(*sent, *result);
      } catch (const WorkerDied& error) {
        if (ordered) {
          EXPECT_EQ(error.task_index(), i);
        }
        check_error(all.at(error.task_index()));
      } catch (const std::domain_error& error) {
        const auto bad =
            std::find_if(all.begin(), all.end(), [&](const Order& x) { return std::to_string(x.id) == error.what(); });
        ASSERT_NE(bad, all.end());
        check_error(*bad);
        if (bad->fate == Fate::cannot_be_written) return;  // the input has ended there
      }
    }
  }

  void cancelled() {
    const auto all = orders(false);
    std::vector<AsyncResult<Order>> answers;
    for (const Order& one : all) answers.push_back(pool_.apply_async(carry_out, one));
    cancelling_ = true;
    for (auto& answer : answers) {
      if (pick(2) == 0) answer.cancel();
    }
    for (std::size_t i = 0; i < all.size(); ++i) {
      if (pick(3) != 0) check(all[i], [&] { return answers[i].get(); });
    }
    cancelling_ = false;
  }

  Pool& pool_;
  std::minstd_rand random_;
  const bool killed_;
  bool cancelling_ = false;
  int next_id_ = 0;
  int answers_ = 0;
};

void rage_in_threads(Pool& pool, int threads, std::size_t rounds, bool killed) {
  const auto seed = static_cast<unsigned>(os::now_ns());
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::atomic<int> answers{0};
  std::vector<std::thread> all;
  for (int t = 0; t < threads; ++t) {
    all.emplace_back([&, t] {
      Storm storm(pool, seed + static_cast<unsigned>(t), killed);
      storm.rage(rounds);
      answers += storm.answers();
    });
  }
  for (auto& thread : all) thread.join();
  EXPECT_GT(answers, 0);
}

TEST(Storm, OneThread) {
  ChaosClock clock;
  do {
    Pool pool(2);
    rage_in_threads(pool, 1, scaled(200), false);
    expect_works(pool);
  } while (!clock.over());
}

TEST(Storm, ManyThreads) {
  ChaosClock clock;
  do {
    Pool pool(3);
    rage_in_threads(pool, 4, scaled(100), false);
    expect_works(pool);
  } while (!clock.over());
}

TEST(Storm, ManyThreadsAndKills) {
  ChaosClock clock;
  do {
    Pool pool(3);
    {
      Killer killer(pool, 6000);
      rage_in_threads(pool, 4, scaled(100), true);
    }
    expect_recovers(pool);
  } while (!clock.over());
}

// The end comes in the middle of it.
TEST(Storm, EndsAbruptly) {
  for (std::size_t round = 0; round < scaled(20); ++round) {
    Pool pool(2);
    std::vector<std::thread> threads;
    for (int t = 0; t < 3; ++t) {
      threads.emplace_back([&, t] {
        try {
          for (int i = 0;; ++i) {
            Order order;
            order.id = i;
            order.result_size = i % 50 == 0 ? 300'000 : 10;
            order.ballast.assign(i % 30 == 0 ? 300'000 : 10, 'x');
            if (t == 0) pool.apply(carry_out, order);
            if (t == 1) pool.apply_async(carry_out, order);
            if (t == 2) pool.map(carry_out, std::vector<Order>(20, order));
          }
        } catch (const Cancelled&) {
        } catch (const ProcessError&) {
        }
      });
    }
    sleep_ms(static_cast<int>(round * 2));
    if (round % 2 == 0) {
      pool.terminate();
    } else {
      pool.close();
    }
    for (auto& thread : threads) thread.join();
  }
  EXPECT_FALSE(has_children());
}

}  // namespace
}  // namespace brood::pool_tests
