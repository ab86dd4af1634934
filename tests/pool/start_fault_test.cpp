// The system refuses something while a pool starts its template process afresh: either the pool works none the less or
// its constructor throws, and then nothing is left behind and the next one works.
#include <cstdio>
#include <exception>
#include <optional>
#include <utility>

#include "pool/support.hpp"

namespace brood::pool_tests {
namespace {

using os::Call;
using proc::testing::Fault;

constexpr std::pair<Call, int> kRefusals[] = {
    {Call::clone, EAGAIN},     {Call::dup, EMFILE},     {Call::eventfd, EMFILE},    {Call::execve, ENOMEM},
    {Call::fcntl, EMFILE},     {Call::fork, EAGAIN},    {Call::ftruncate, ENOMEM},  {Call::memfd_create, EMFILE},
    {Call::mmap, ENOMEM},      {Call::open, EMFILE},    {Call::pidfd_open, EMFILE}, {Call::pipe, EMFILE},
    {Call::poll, ENOMEM},      {Call::prctl, EINVAL},   {Call::recvmsg, ENOBUFS},   {Call::sendmsg, ENOBUFS},
    {Call::sigaction, EINVAL}, {Call::sigmask, EINVAL}, {Call::signalfd, EMFILE},   {Call::socketpair, ENFILE},
    {Call::write, ENOSPC},
};

// Makes a pool of whose calls the `nth` is refused. Nothing when it does not make as many, or whether the pool was
// made.
std::optional<bool> refuse(const PoolOptions& options, Call call, int error, int nth) {
  std::optional<Pool> pool;
  int hits = 0;
  {
    const Fault fault(call, error, nth);
    try {
      pool.emplace(options);
    } catch (const std::exception&) {
    }
    hits = fault.hits();
  }
  if (pool) {
    EXPECT_TRUE(eventually([&] { return pool->pids().size() == pool->size(); }));  // a worker may come later
    expect_works(*pool);
  }
  return hits < nth ? std::nullopt : std::optional(pool.has_value());
}

class StartOfAPool : public ::testing::TestWithParam<StartMethod> {};
INSTANTIATE_TEST_SUITE_P(All, StartOfAPool, ::testing::Values(StartMethod::forkserver, StartMethod::spawn),
                         [](const auto& test) { return test.param == StartMethod::spawn ? "spawn" : "forkserver"; });

TEST_P(StartOfAPool, IsRefusedAnything) {
  const PoolOptions options{.processes = 2, .start_method = GetParam()};
  { Pool first(options); }
  const int before = count_fds();
  int refusals = 0;
  for (const auto& [call, error] : kRefusals) {
    SCOPED_TRACE(static_cast<int>(call));
    for (int nth = 1; const auto made = refuse(options, call, error, nth); ++nth) refusals += *made ? 0 : 1;
    EXPECT_TRUE(eventually([] { return family().empty(); }));
    EXPECT_EQ(count_fds(), before);
  }
  EXPECT_GT(refusals, 10);
}

// The same for a program's first pool, which begins the fork server.
TEST(StartOfTheForkServer, IsRefusedAnything) {
  const PoolOptions options{.processes = 1, .start_method = StartMethod::forkserver};
  constexpr int kNotRefused = 7;
  for (const auto& [call, error] : kRefusals) {
    for (int nth = 1, code = 0; code != kNotRefused; ++nth) {
      code = run_in_child([&, call = call, error = error] {
        const auto made = refuse(options, call, error, nth);
        try {
          Pool next(options);
          if (next.apply(negate, 4) != -4) return 1;
        } catch (const std::exception& failure) {
          std::fprintf(stderr, "%s\n", failure.what());
          return 2;
        }
        return made ? 0 : kNotRefused;
      });
      EXPECT_TRUE(code == 0 || code == kNotRefused) << code << ": call " << static_cast<int>(call) << ", " << nth;
    }
  }
}

}  // namespace
}  // namespace brood::pool_tests
