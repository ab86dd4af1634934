// A function local to another function goes to the workers: a lambda, with its captures.
// Better here: the peer says "Can't pickle local object"; a lambda that cannot travel is refused when compiling.
#include <brood/pool.hpp>

#include <cstdio>
#include <utility>
#include <vector>

void fn_outer() {
  int offset = 100;
  const auto fn = [](int a, int b) { return a + b; };
  const auto fn_with_capture = [offset](int a, int b) { return a + b + offset; };
  const std::vector<std::pair<int, int>> data = {{1, 2}};

  brood::Pool pool;
  for (int sum : pool.starmap(fn, data)) std::printf("%d\n", sum);
  for (int sum : pool.starmap(fn_with_capture, data)) std::printf("%d\n", sum);
  pool.close();
}

int main() { fn_outer(); }
