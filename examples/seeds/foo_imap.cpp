// imap over pairs, for a function that takes one argument and gives nothing back.
// Better here: the peer ends the pool before the tasks have run; this one runs every task, and says when one failed.
#include <brood/pool.hpp>

#include <utility>
#include <vector>

void foo(std::pair<int, int> param) { [[maybe_unused]] const auto [arg1, arg2] = param; }

int main() {
  std::vector<std::pair<int, int>> params;
  for (int i = 0; i < 10; ++i) params.emplace_back(i, i + 1);

  brood::Pool pool(8);
  auto stream = pool.imap(foo, params);
  while (stream.next()) {
  }
}
