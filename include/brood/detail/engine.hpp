// What the pool's templates call: compiled code that moves bytes.
#pragma once

#include <brood/detail/durations.hpp>
#include <brood/detail/job.hpp>

#include <sys/types.h>

#include <cstdint>
#include <vector>

namespace brood {

struct PoolOptions;
struct PoolStats;

namespace engine {

// A counted reference to a pool's engine; jobs that outlive the Pool object keep one.
class EngineRef {
 public:
  EngineRef() = default;
  explicit EngineRef(const PoolOptions& options);
  EngineRef(const EngineRef& other) noexcept;
  EngineRef(EngineRef&& other) noexcept : engine_(other.engine_) { other.engine_ = nullptr; }
  EngineRef& operator=(EngineRef other) noexcept {
    Engine* const mine = engine_;
    engine_ = other.engine_;
    other.engine_ = mine;
    return *this;
  }
  ~EngineRef();

  Engine* get() const noexcept { return engine_; }
  explicit operator bool() const noexcept { return engine_ != nullptr; }

 private:
  Engine* engine_ = nullptr;
};

// Runs a job on the caller's stack until it is satisfied. `verb` names the call in errors.
void run(Engine& engine, detail::Job& job, const char* verb);

// Takes a job on the heap whose input is written at once, in this call; the engine keeps a reference until it is done.
void submit(Engine& engine, detail::Job& job, const char* verb);

// A job on the heap whose input is written while its owner waits: registers it.
void open(Engine& engine, detail::Job& job, const char* verb);
// Works until it is satisfied or the time is over (negative: for ever). False: the time was over.
bool advance(Engine& engine, detail::Job& job, std::chrono::nanoseconds patience);
// Forgets it.
void drop(Engine& engine, detail::Job& job) noexcept;

// Waits until a submitted job is done. False: the time (negative: for ever) was over.
bool wait(Engine& engine, detail::Job& job, std::chrono::nanoseconds patience);
// Takes back those of its tasks that no worker has begun; they are answered with Cancelled. True: the whole job is.
// False: some may have been begun; of those, what turns out not to have been is answered with Cancelled later.
bool cancel(Engine& engine, detail::Job& job);
// finished() of a submitted job shall be called once it is done, also if it is already.
void call_when_done(Engine& engine, detail::Job& job);

void retain(detail::Job& job) noexcept;
void release(detail::Job& job) noexcept;

unsigned processes(const Engine& engine) noexcept;

void close(Engine& engine, const char* verb);
void join(Engine& engine, const char* verb);
void terminate(Engine& engine) noexcept;
std::vector<pid_t> pids(Engine& engine);
PoolStats stats(Engine& engine);
// ProcessError: for misuse that a header notices, so that it need not compile strings.
[[noreturn]] void refuse(const char* why);
// The end of a Pool object: close and join, or terminate while an exception is on its way.
void leave(Engine& engine, bool unwinding) noexcept;

}  // namespace engine
}  // namespace brood
