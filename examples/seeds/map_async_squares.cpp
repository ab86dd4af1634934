// Ten squares through map_async: the call comes back at once, get() waits.
// Better here: then() and on_error() may be added at any time, and cancel() takes back what has not run.
#include <brood/pool.hpp>

#include <vector>

#include "print_list.hpp"

int func(int num) { return num * num; }

int main() {
  const std::vector<int> lst = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
  brood::Pool pool(4);

  auto results = pool.map_async(func, lst);

  pool.close();
  pool.join();

  print_list("", results.get());
}
