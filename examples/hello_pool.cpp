// A pool of processes that squares numbers: the README's first example.
#include <brood/brood.hpp>

#include <cstdio>
#include <vector>

int square(int x) { return x * x; }

int main() {
  brood::Pool pool;  // one worker per CPU
  const std::vector<int> squares = pool.map(square, std::vector<int>{1, 2, 3, 4});
  for (int each : squares) std::printf("%d\n", each);
}
