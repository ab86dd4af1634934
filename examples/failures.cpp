// What happens when tasks go wrong: each failure belongs to its own task, and the pool goes on.
#include <brood/brood.hpp>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <vector>

int risky(int n) {
  if (n == 1) throw std::out_of_range("one is out of range");
  if (n == 2) std::raise(SIGSEGV);
  if (n == 3) std::_Exit(3);
  return 10 * n;
}

int main() {
  brood::Pool pool(2);
  std::vector<brood::AsyncResult<int>> results;
  for (int n = 0; n < 5; ++n) results.push_back(pool.apply_async(risky, n));

  for (auto& result : results) {
    try {
      std::printf("value %d\n", result.get());
    } catch (const brood::WorkerDied& died) {
      std::printf("the worker died: %s %d\n", died.signal() != 0 ? "signal" : "exit status",
                  died.signal() != 0 ? died.signal() : died.exitcode());
    } catch (const std::out_of_range& error) {
      // The task's own exception, as itself; it is a brood::RemoteError too, which knows the worker and the task.
      const auto& remote = dynamic_cast<const brood::RemoteError&>(error);
      std::printf("%s: %s\n", remote.type_name().c_str(), remote.message().c_str());
    }
  }
  std::printf("still working: %d\n", pool.apply(risky, 7));
}
