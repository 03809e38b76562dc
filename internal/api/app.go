package api

import (
	"net/http"
	"time"

	"untether/internal/access"
	"untether/internal/api/respond"
	"untether/internal/api/wire"
	"untether/internal/fault"
	"untether/internal/search"
)

// app gives the id of the app that calls.
func (a *API) app(r *http.Request) (string, error) {
	client, err := a.client(r, access.ScopeApp)
	if err == nil && client.Subject == "" {
		err = access.ErrPermission
	}
	return client.Subject, err
}

func (a *API) lease(w http.ResponseWriter, r *http.Request) {
	tasks, err := a.leaseTasks(w, r)
	if err != nil {
		a.fail(w, r, err)
		return
	}
	answer := wire.LeasedTasks{Tasks: make([]wire.Task, len(tasks))}
	for i, t := range tasks {
		answer.Tasks[i] = wire.Task{ID: t.ID, Kind: wire.TaskKind(t.Kind), Subject: wire.TaskSubject{PhoneNumber: t.Number.E164()},
			TenureStart: t.TenureStart.UTC(), Deadline: t.Deadline.UTC()}
	}
	respond.JSON(w, http.StatusOK, answer)
}

func (a *API) leaseTasks(w http.ResponseWriter, r *http.Request) ([]search.Task, error) {
	app, err := a.app(r)
	if err != nil {
		return nil, err
	}
	body, err := respond.Decode[wire.LeaseRequest](w, r, smallBody)
	if err != nil {
		return nil, err
	}
	most, err := within(body.Max, 1, search.LeaseMax, search.LeaseMax, "max")
	if err != nil {
		return nil, err
	}
	seconds, err := within(body.WaitSeconds, 0, int(search.LeaseWait/time.Second), 0, "waitSeconds")
	if err != nil {
		return nil, err
	}
	return a.Searches.LeaseTasks(r.Context(), app, most, time.Duration(seconds)*time.Second)
}

// within reads an optional whole number with bounds.
func within(n *int, least, most, missing int, name string) (int, error) {
	if n == nil {
		return missing, nil
	}
	if *n < least || *n > most {
		return 0, fault.Invalidf("%s must be from %d to %d.", name, least, most)
	}
	return *n, nil
}

// taskIDMax bounds the characters of a task's id that is answered: the receipt repeats it.
const taskIDMax = 200

func (a *API) results(w http.ResponseWriter, r *http.Request) {
	verdicts, err := a.takeResults(w, r)
	if err != nil {
		a.fail(w, r, err)
		return
	}
	answer := wire.ResultsAnswer{Results: make([]wire.ResultReceipt, len(verdicts))}
	for i, v := range verdicts {
		receipt := wire.ResultReceipt{ID: v.ID, Accepted: v.Accepted}
		if v.Code != "" {
			receipt.Code, receipt.Message = &v.Code, &v.Message
		}
		answer.Results[i] = receipt
	}
	respond.JSON(w, http.StatusOK, answer)
}

func (a *API) takeResults(w http.ResponseWriter, r *http.Request) ([]search.Verdict, error) {
	app, err := a.app(r)
	if err != nil {
		return nil, err
	}
	body, err := respond.Decode[wire.ResultsRequest](w, r, resultsBody)
	if err != nil {
		return nil, err
	}
	if n := len(body.Results); n == 0 || n > search.LeaseMax {
		return nil, fault.Invalidf("results must hold 1 to %d.", search.LeaseMax)
	}
	answers := make([]search.Answer, len(body.Results))
	for i, result := range body.Results {
		if result.ID == "" || len(result.ID) > taskIDMax {
			return nil, fault.Invalidf("results[%d].id must have 1 to %d characters.", i, taskIDMax)
		}
		answers[i] = answerOf(result)
	}
	return a.Searches.TakeAnswers(r.Context(), app, answers)
}

func answerOf(result wire.TaskResult) search.Answer {
	answer := search.Answer{ID: result.ID, Kind: result.Outcome}
	if result.Accounts == nil || result.Left == nil || result.Undated == nil {
		answer.Missing = true
		return answer
	}
	answer.Counts = search.Counts{Accounts: int(*result.Accounts), Left: int(*result.Left), Undated: int(*result.Undated)}
	return answer
}
