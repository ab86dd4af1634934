#include "report.hpp"

#include <cinttypes>

namespace {

// 1234567 -> "1,234,567"
std::string grouped(std::uint64_t number) {
  std::string text = std::to_string(number);
  for (std::size_t at = text.size(); at > 3; at -= 3) text.insert(at - 3, 1, ',');
  return text;
}

std::string printable(std::string_view name) {
  std::string text;
  for (const char c : name) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte != 0x7f) {
      text += c;
      continue;
    }
    char escape[5];
    std::snprintf(escape, sizeof escape, "\\%03o", byte);
    text += escape;
  }
  return text;
}

}  // namespace

std::string checksum_line(const std::array<unsigned char, 32>& sha256, std::string_view path) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string line;
  const bool escaped = path.find_first_of("\\\n\r") != std::string_view::npos;
  if (escaped) line += '\\';
  for (const unsigned char byte : sha256) {
    line += kDigits[byte >> 4];
    line += kDigits[byte & 15];
  }
  line += "  ";
  for (const char c : path) {
    if (c == '\\')
      line += "\\\\";
    else if (c == '\n')
      line += "\\n";
    else if (c == '\r')
      line += "\\r";
    else
      line += c;
  }
  line += '\n';
  return line;
}

void print_unreadable(std::FILE* out, const std::vector<Unreadable>& unreadable) {
  for (const Unreadable& each : unreadable)
    std::fprintf(out, "treesum: %s: %s\n", printable(each.path).c_str(), each.reason.c_str());
}

void print_summary(std::FILE* out, const Summary& summary) {
  const double megabytes = static_cast<double>(summary.bytes) / 1e6;
  std::fprintf(out, "files           %s\n", grouped(summary.files).c_str());
  std::fprintf(out, "bytes           %s\n", grouped(summary.bytes).c_str());
  std::fprintf(out, "seconds         %.3f\n", summary.seconds);
  std::fprintf(out, "MB/s            %.1f\n", summary.seconds > 0 ? megabytes / summary.seconds : 0);
  std::fprintf(out, "speed-up        %.2f over one process, with %u worker%s\n",
               summary.seconds > 0 ? summary.serial_seconds / summary.seconds : 0, summary.workers,
               summary.workers == 1 ? "" : "s");
  if (!summary.busiest_worker.empty()) std::fprintf(out, "busiest worker  %s\n", summary.busiest_worker.c_str());
  if (summary.changed != 0) std::fprintf(out, "changed size    %" PRIu64 " while they were read\n", summary.changed);
  if (summary.killed != 0) std::fprintf(out, "killed workers  %" PRIu64 "\n", summary.killed);
}
