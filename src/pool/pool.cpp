#include <brood/error.hpp>
#include <brood/pool.hpp>

#include <exception>
#include <utility>

namespace brood {

Pool::Pool(const PoolOptions& options)
    : Verbs(engine::EngineRef(options), TaskOptions{}), exceptions_(std::uncaught_exceptions()) {}

Pool::~Pool() {
  if (engine_) engine::leave(engine(), std::uncaught_exceptions() > exceptions_);
}

PoolWith Pool::with(const TaskOptions& options) const {
  if (options.timeout.count() != 0) throw ProcessError("TaskOptions::timeout is not available yet");
  return PoolWith(engine_, options);
}

void Pool::close() { engine::close(engine(), "close"); }
void Pool::join() { engine::join(engine(), "join"); }
void Pool::terminate() noexcept { engine::terminate(engine()); }
unsigned Pool::size() const { return engine::processes(engine()); }
std::vector<pid_t> Pool::pids() const { return engine::pids(engine()); }
PoolStats Pool::stats() const { return engine::stats(engine()); }

void engine::refuse(const char* why) { throw ProcessError(why); }

}  // namespace brood
