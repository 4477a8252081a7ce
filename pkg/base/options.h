#pragma once
/* Command lines as tables. A row says what an option is called, what type its value has, what range
 * and what default; from it the command line is parsed and checked, help is printed, and docs and
 * the chart are compared with it (`PROGRAM options`, base/command.h). So no command reads the text
 * of a number or an address itself, and a wrong value is refused before anything is opened, in one
 * line that names option, value and what is allowed. Main thread, before anything else runs. */

#include <stdio.h>

#include "base/err.h"
#include "base/str.h"

struct option_row;

/* What the values of an option are. Modules above base bring types of their own (net/options.h,
 * boot/options.h). */
struct option_type {
	const char *name; /* in the list of options: "seconds" */
	const char *noun; /* "a number of seconds", as a refusal says it; NULL: the range alone */
	bool flag;	  /* takes no value: it is given, or not */
	bool repeats; /* each time that it is given adds to the value; else the last one counts */
	/* Reads the text into the caller's member. Negative, with *why left alone: it is not what
	 * noun and range say. With *why filled: that is said instead, after the option's name. */
	int (*read)(const struct option_row *row, const char *text, void *value, struct err *why);
	/* "1 to 3600", "text or json"; NULL: none. */
	void (*range)(const struct option_row *row, struct strbuf *out);
	void (*done)(void *value); /* frees what read() made; NULL: nothing */
};

struct option_choice {
	const char *name; /* NULL ends the list */
	int value;
};

struct option_row {
	const char *name;     /* without dashes; of an operand in capitals; NULL ends the table */
	const char *argument; /* as help shows it; NULL for flags and operands */
	const char *standard; /* what holds when absent; NULL: nothing */
	const char *help;
	const char *heading; /* help prints it before this row: a group begins */
	const struct option_type *type;
	size_t offset;			     /* of the value in the caller's struct */
	size_t given;			     /* of a bool there that says it was given; 0: none */
	int64_t min, max;		     /* of numbers; of lists max alone */
	const struct option_choice *choices; /* of option_choice */
	uint16_t port;			     /* of addresses that are given without one */
	bool required;
	bool operand; /* a word without dashes; such rows fill in their order */
	char letter;  /* "-n" for "--namespace"; 0: none */
};

/* A group of rows, and where their struct lies in that of the command. */
struct option_table {
	const char *heading;	       /* of the group in help; may be NULL */
	const struct option_row *rows; /* NULL ends the tables */
	size_t offset;
};

struct option_list {
	const char **items; /* borrowed from argv */
	size_t count;
};

/* Strings are borrowed from argv. */
extern const struct option_type option_text, /* const char *: anything */
	option_texts,			     /* struct option_list, repeated */
	option_path,			     /* const char *: not empty */
	option_paths,			     /* struct option_list, repeated */
	option_socket,	  /* const char *: a path that fits into a Unix socket's address */
	option_label,	  /* const char *: a name of Kubernetes without dots (RFC 1123) */
	option_subdomain, /* const char *: one with dots */
	option_flag,	  /* bool */
	option_choice,	  /* int or enum, by the row's choices */
	option_word,	  /* const char *: the name of one of the row's choices */
	option_unsigned,  /* unsigned, min to max */
	option_integer,	  /* int, min to max */
	option_seconds,	  /* usec_t, min to max seconds */
	option_port;	  /* uint16_t, min to max */

/* One table of all, for the functions below; from the heap. */
struct option_row *options_join(const struct option_table *tables);
/* "--name value", "--name=value", "-n value"; "--" ends the options. Sets defaults first. After a
 * refusal too options_done() is due. */
int options_parse(const struct option_row *rows, int argc, char **argv, void *ret, struct err *err);
/* Frees what the types made. */
void options_done(const struct option_row *rows, void *options);

/* "HOST [OPTION...]": what follows the command's name. */
void options_usage(const struct option_row *rows, FILE *out);
/* Lines of at most `width` columns, under the headings. */
void options_help(const struct option_row *rows, size_t width, FILE *out);
/* For tests and tools, a line each, with tabs: COMMAND, name, argument, type, range, default,
 * "required", "repeats" and "operand" with commas between. */
void options_list(const struct option_row *rows, const char *command, FILE *out);
/* In lines of at most `width` columns. */
void options_print_text(const char *text, size_t width, FILE *out);
/* `left` in a column, `text` in lines beside it. */
void options_print_entry(const char *left, size_t column, const char *text, size_t width,
			 FILE *out);
