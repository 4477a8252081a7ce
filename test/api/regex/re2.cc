// As ours.c, by RE2, of whose syntax Go's is a dialect.
#include <iostream>
#include <string>

#include <re2/re2.h>

static std::string from_hex(const std::string &hex)
{
	std::string bytes;
	for (size_t i = 0; hex != "-" && i + 1 < hex.size(); i += 2)
		bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
	return bytes;
}

int main()
{
	std::string pattern, text;
	RE2::Options options;
	options.set_log_errors(false);
	while (std::cin >> pattern >> text) {
		RE2 re(from_hex(pattern), options);
		if (!re.ok())
			puts(re.error_code() == RE2::ErrorPatternTooLarge ? "limit" : "bad");
		else
			puts(RE2::PartialMatch(from_hex(text), re) ? "1" : "0");
	}
}
